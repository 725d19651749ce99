"""An engine run on the GPU that is here: whether it counts like the original, and how fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount.errors import AccuracyError, BackendError
from edgecount.export.verify.compare import Picture, Proof, prove
from edgecount.runtime.backends.tensorrt.compatibility import engine_problems
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.engines import Engine
from edgecount.runtime.models.sidecar import read_sidecar
from edgecount.runtime.pipeline.preprocess import plan_input

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter
    from edgecount.runtime.models.sidecar import EngineSidecar

__all__ = ["EngineRun", "run_engine"]

RUNS, WARM_UP = 100, 10


@dataclass(frozen=True)
class EngineRun:
    """What running an engine showed.

    Attributes:
        gpu: name of the GPU; None: it was not run.
        proof: against the float32 ONNX; None: it was not run, or takes none of the pictures.
        latency: milliseconds of the network alone on one frame of the usual size, p50 and others.
        left_out: pictures that the engine takes only at another size than the original.
        reason: why it was not run or not proven; empty if it was.
    """

    gpu: str | None = None
    proof: Proof | None = None
    latency: dict[str, float] = field(default_factory=dict)
    left_out: int = 0
    reason: str = ""


def run_engine(
    plan: Path,
    pictures: Sequence[Picture],
    originals: Sequence[CountResult],
    gate: float,
    progress: Callable[[], None],
) -> EngineRun:
    """Prove an engine and take its time, where it can run.

    Args:
        plan: the engine, with its sidecar beside it.
        pictures: to count.
        originals: what the float32 model says of them.
        gate: see `Proof`.
        progress: called after each picture.

    Raises:
        AccuracyError: it gives values that are no numbers.
        BackendError: it was built for this machine and does not load here.
    """
    engine = Engine(plan, read_sidecar(plan))
    if problems := engine_problems(engine, plan.read_bytes()):
        return EngineRun(reason="; ".join(problems))
    from edgecount import EdgeCounter

    try:
        counter = EdgeCounter(plan, backend=engine.sidecar.backend)
    except BackendError as error:
        # Plans of RTX are for GPUs that need not be here, nor be known to their sidecar by name.
        if engine.sidecar.backend == "tensorrt":
            raise
        return EngineRun(reason=str(error))
    with counter:
        return _run(counter, engine, pictures, originals, gate, progress)


def _run(
    counter: EdgeCounter,
    engine: Engine,
    pictures: Sequence[Picture],
    originals: Sequence[CountResult],
    gate: float,
    progress: Callable[[], None],
) -> EngineRun:
    path, sidecar = engine
    driver = probe_driver()
    gpu = None if isinstance(driver, str) else driver.devices[0].name
    fitting = [
        (picture, original)
        for picture, original in zip(pictures, originals, strict=True)
        if _fits(picture, sidecar)
    ]
    proof, reason = None, "it takes none of the pictures at the size of the original: see --input"
    if fitting:
        some, theirs = zip(*fitting, strict=True)
        try:
            proof, reason = prove(some, theirs, counter, gate, progress=progress), ""
        except BackendError as error:
            raise AccuracyError(
                f"{path.name} cannot count, and nothing was written: {error}"
            ) from error
    return EngineRun(gpu, proof, _latency(counter, sidecar), len(pictures) - len(fitting), reason)


def _fits(picture: Picture, sidecar: EngineSidecar) -> bool:
    """Whether an engine counts a picture at the size at which the original counts it."""
    spec, shapes = sidecar.manifest.input, sidecar.shapes
    size = picture.image.shape[1::-1]
    free = plan_input(size, spec, spec.max_side)
    limits = shapes.min[2:], shapes.max[2:]
    return plan_input(size, spec, spec.max_side, limits).resized == free.resized


def _latency(counter: EdgeCounter, sidecar: EngineSidecar) -> dict[str, float]:
    from edgecount._latency import measure_latency

    (found,) = measure_latency([counter], sidecar.shapes.opt[2:], runs=RUNS, warmup=WARM_UP)
    return found.quantiles()["infer"]
