"""Prove the files of an export with OpenVINO: count with it, in each precision it has here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import AccuracyError, BackendError
from edgecount.export.progress import Progress, Steps
from edgecount.export.verify.compare import Comparison, NamedImage, compare
from edgecount.export.verify.gate import refusal

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

OPENVINO = "openvino"


@dataclass(frozen=True)
class ProvenRun:
    """A file that was run by an engine, in one precision, beside the float32 model.

    Attributes:
        file: the file's name.
        backend: the engine, as `EdgeCounter` takes it.
        precision: what it computed in, such as "int8+bfloat16".
        faster: whether that was asked for, and the file does not say so itself.
        version: the engine's version.
        comparison: its counts beside the float32 model's; None: it cannot count.
        refusal: why this run must not be taken; empty if it may.
    """

    file: str
    backend: str
    precision: str
    faster: bool
    version: str
    comparison: Comparison | None
    refusal: str


def prove_openvino(
    path: Path,
    images: Sequence[NamedImage],
    originals: Sequence[CountResult],
    gate: float,
    *,
    int8: bool = False,
    threads: int | None = None,
    progress: Progress,
) -> Iterator[ProvenRun]:
    """Count with a file in OpenVINO, as it was made and in the faster precisions of this CPU.

    Args:
        path: the file.
        images: the images.
        originals: the float32 model's results on them.
        gate: the largest relative difference of the counts that passes.
        int8: whether the file computes in INT8, and only what surrounds it may be faster.
        threads: threads on the CPU; None: all.
        progress: reported to.

    Raises:
        BackendError: OpenVINO cannot be loaded.
        ModelError: it cannot load the file.
    """
    from edgecount.runtime.backends.openvino.library import version
    from edgecount.runtime.backends.openvino.precision import computes_in

    for floats in computes_in("CPU"):
        is_faster = floats != "float32"
        precision = floats if not int8 else f"int8+{floats}" if is_faster else "int8"
        step = Steps(progress, f"counting with {path.name} in OpenVINO, {precision}", len(images))
        named = f"{path.name} in OpenVINO, computing in {precision},"
        comparison, why = None, ""
        with open_run(path, OPENVINO, precision, threads) as counter:
            try:
                comparison = compare(images, originals, counter, gate, progress=step)
                why = refusal(named, precision, comparison)
            except BackendError as error:  # the engine fails, or the maps are not finite
                if not is_faster:
                    raise AccuracyError(f"{named} cannot count: {error}") from error
                why = f"{named} cannot count: {error}"
        yield ProvenRun(path.name, OPENVINO, precision, is_faster, version(), comparison, why)


@contextmanager
def open_run(
    path: Path, backend: str, precision: str, threads: int | None
) -> Iterator[EdgeCounter]:
    """Open a counter that runs a file with an engine; OpenVINO computes in the precision."""
    from edgecount import EdgeCounter

    if backend != OPENVINO:  # others compute as the file says
        with EdgeCounter(path, backend=backend, threads=threads) as counter:
            yield counter
        return
    from edgecount.runtime.backends.openvino.backend import OpenVinoBackend
    from edgecount.runtime.models.open import open_model

    model = open_model(path)
    # By itself, so that neither a choice nor a proof comes between.
    with (
        OpenVinoBackend(model, backend, threads, precision) as engine,
        EdgeCounter(model.manifest, backend=engine) as counter,
    ):
        yield counter
