"""Run an engine on the GPU of this machine: compare its counts and measure its latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import AccuracyError, BackendError
from edgecount.export.verify.compare import Comparison, NamedImage, compare
from edgecount.runtime.backends.tensorrt.compatibility import engine_problems
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.sidecar import read_sidecar
from edgecount.runtime.pipeline.preprocess import input_geometry

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter
    from edgecount.runtime.models.sidecar import EngineSidecar

__all__ = ["EngineRun", "run_engine"]

RUNS, WARM_UP = 100, 10


@dataclass(frozen=True)
class EngineRun:
    """Results of running an engine.

    Attributes:
        gpu: name of the GPU; None: it was not run.
        comparison: its counts beside the float32 model's; None: it was not run, or takes none of
            the images.
        latency: milliseconds of the network alone on one frame of the opt size, p50 and others.
        left_out: number of images that it takes only at another size than the original.
        reason: why it was not run or not compared; empty if it was.
    """

    gpu: str | None = None
    comparison: Comparison | None = None
    latency: dict[str, float] = field(default_factory=dict)
    left_out: int = 0
    reason: str = ""


def run_engine(
    path: Path,
    images: Sequence[NamedImage],
    originals: Sequence[CountResult],
    gate: float,
    progress: Callable[[], None],
) -> EngineRun:
    """Compare an engine and measure its latency, where it can run.

    Args:
        path: the engine, with its sidecar beside it.
        images: images to count.
        originals: results of the float32 model on them.
        gate: the largest relative difference that passes.
        progress: called after each image.

    Raises:
        AccuracyError: it gives non-finite values.
        BackendError: it was built for this machine and does not load here.
    """
    engine = Engine(path, read_sidecar(path))
    if problems := engine_problems(engine, path.read_bytes()):
        return EngineRun(reason="; ".join(problems))
    from edgecount import EdgeCounter

    try:
        counter = EdgeCounter(path, backend=engine.sidecar.backend)
    except BackendError as error:
        # Engines of RTX are for GPUs that need not be here, nor be known to their sidecar by name.
        if engine.sidecar.backend == "tensorrt":
            raise
        return EngineRun(reason=str(error))
    with counter:
        return _run(counter, engine, images, originals, gate, progress)


def _run(
    counter: EdgeCounter,
    engine: Engine,
    images: Sequence[NamedImage],
    originals: Sequence[CountResult],
    gate: float,
    progress: Callable[[], None],
) -> EngineRun:
    path, sidecar = engine
    driver = probe_driver()
    gpu = None if isinstance(driver, str) else driver.devices[0].name
    fitting = [
        (image, original)
        for image, original in zip(images, originals, strict=True)
        if _fits(image, sidecar)
    ]
    comparison = None
    reason = "it takes none of the images at the size of the original: change `size` or `profile`"
    if fitting:
        some, theirs = zip(*fitting, strict=True)
        try:
            comparison, reason = compare(some, theirs, counter, gate, progress=progress), ""
        except BackendError as error:
            raise AccuracyError(
                f"{path.name} cannot count, and nothing was written: {error}"
            ) from error
    left_out = len(images) - len(fitting)
    return EngineRun(gpu, comparison, _latency(counter, sidecar), left_out, reason)


def _fits(image: NamedImage, sidecar: EngineSidecar) -> bool:
    """Return whether an engine counts an image at the size at which the original counts it."""
    spec, shapes = sidecar.manifest.input, sidecar.shapes
    size = image.pixels.shape[1::-1]
    free = input_geometry(size, spec, spec.max_side)
    limits = shapes.min[2:], shapes.max[2:]
    return input_geometry(size, spec, spec.max_side, limits).resized == free.resized


def _latency(counter: EdgeCounter, sidecar: EngineSidecar) -> dict[str, float]:
    from edgecount._latency import measure_latency

    (found,) = measure_latency([counter], sidecar.shapes.opt[2:], runs=RUNS, warmup=WARM_UP)
    return found.quantiles()["infer"]
