"""Prove the files of an export with an engine of CPUs: count with it, in each precision it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import BackendError
from edgecount.export.progress import Progress, Steps
from edgecount.export.verify.compare import Comparison, NamedImage, compare
from edgecount.export.verify.gate import refusal

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

OPENVINO = "openvino"
PLAIN = "float32"  # asked for: each file as it was made


@dataclass(frozen=True)
class ProvenRun:
    """A file that was run by an engine, in one precision, beside the float32 model.

    Attributes:
        file: the file's name.
        backend: the engine, as `EdgeCounter` takes it.
        asked: the precision that it was asked for.
        precision: what it computed in, such as "int8+bfloat16".
        version: the engine's version.
        comparison: its counts beside the float32 model's; None: it cannot count.
        refusal: why this run must not be taken; empty if it may.
    """

    file: str
    backend: str
    asked: str
    precision: str
    version: str
    comparison: Comparison | None
    refusal: str

    @property
    def passed(self) -> bool:
        """Whether its counts may be taken for the float32 model's."""
        return not self.refusal


def open_run(path: Path, backend: str, precision: str, threads: int | None) -> EdgeCounter:
    """Return a counter that runs a file with an engine, in the precision asked for."""
    from edgecount import EdgeCounter

    if backend != OPENVINO:  # others compute as the file says
        return EdgeCounter(path, backend=backend, threads=threads)
    return EdgeCounter(path, backend=backend, precision=precision, threads=threads)


def prove_openvino(
    path: Path,
    images: Sequence[NamedImage],
    originals: Sequence[CountResult],
    gate: float,
    *,
    threads: int | None,
    progress: Progress,
) -> Iterator[ProvenRun]:
    """Count with a file in OpenVINO, in float32 and in each faster precision that this CPU has.

    INT8 files compute in INT8 in all of them, and what surrounds it in the precision asked for.

    Raises:
        BackendError: OpenVINO cannot load the file.
    """
    from edgecount.runtime.backends.openvino.library import openvino_version, precisions

    for asked in precisions("CPU"):
        with open_run(path, OPENVINO, asked, threads) as counter:
            precision = counter.backend.precision
            task = f"counting with {path.name} in OpenVINO ({precision})"
            step = Steps(progress, task, len(images))
            named = f"{path.name} in OpenVINO, computing in {precision},"
            comparison = None
            try:
                comparison = compare(images, originals, counter, gate, progress=step)
                why = refusal(named, precision, comparison)
            except BackendError as error:  # the engine fails, or the maps are not finite
                why = f"{named} cannot count: {error}"
        version = openvino_version()
        yield ProvenRun(path.name, OPENVINO, asked, precision, version, comparison, why)
