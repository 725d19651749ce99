"""Run an engine on the GPU of this machine: compare its counts and measure its latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount._latency import measure_latency
from edgecount.errors import AccuracyError, BackendError
from edgecount.export.verify.compare import Comparison, NamedImage, compare
from edgecount.runtime.backends.tensorrt.compatibility import engine_problems
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.sidecar import read_sidecar
from edgecount.runtime.pipeline.preprocess import input_geometry

if TYPE_CHECKING:
    from edgecount import CountResult
    from edgecount.runtime.models.sidecar import EngineSidecar

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
    """Compare an engine with the float32 model's results, and measure its latency.

    Raises:
        AccuracyError: it gives non-finite values.
        BackendError: it was built for this machine and does not load here.
    """
    engine = Engine(path, read_sidecar(path))
    if problems := engine_problems(engine, path.read_bytes()):
        return EngineRun(reason="; ".join(problems))
    driver = probe_driver()
    gpu = None if isinstance(driver, str) else driver.devices[0].name
    pairs = zip(images, originals, strict=True)
    fitting = [pair for pair in pairs if _fits(pair[0], engine.sidecar)]
    from edgecount import EdgeCounter

    try:
        counter = EdgeCounter(path, backend=engine.sidecar.backend)
    except BackendError as error:
        # Engines of RTX are for GPUs that need not be here, nor be known to their sidecar by name.
        if engine.sidecar.backend == "tensorrt":
            raise
        return EngineRun(reason=str(error))
    comparison = None
    reason = "it takes none of the images at the size of the original: change `size` or `profile`"
    with counter:
        if fitting:
            some, theirs = zip(*fitting, strict=True)
            try:
                comparison, reason = compare(some, theirs, counter, gate, progress=progress), ""
            except BackendError as error:
                raise AccuracyError(
                    f"{path.name} cannot count, and nothing was written: {error}"
                ) from error
        opt = engine.sidecar.shapes.opt[2:]
        (found,) = measure_latency([counter], opt, runs=RUNS, warmup=WARM_UP)
    latency, left_out = found.quantiles()["infer"], len(images) - len(fitting)
    return EngineRun(gpu, comparison, latency, left_out, reason)


def _fits(image: NamedImage, sidecar: EngineSidecar) -> bool:
    """Return whether an engine counts an image at the size at which the original counts it."""
    spec, shapes = sidecar.manifest.input, sidecar.shapes
    size = image.pixels.shape[1::-1]
    free = input_geometry(size, spec, spec.max_side)
    limits = shapes.min[2:], shapes.max[2:]
    return input_geometry(size, spec, spec.max_side, limits).resized == free.resized
