"""The check whether an engine fits this machine, before TensorRT is given it."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from edgecount._files import require_regular
from edgecount._lock import locked
from edgecount.errors import BackendError, EdgeCountError, ModelError
from edgecount.runtime.backends.tensorrt.library import load_tensorrt
from edgecount.runtime.cuda.driver import Device, Driver, probe_driver, why_no_gpu
from edgecount.runtime.models.engines import Engine, Rebuild, build_command, file_sha256, find_onnx
from edgecount.runtime.models.portability import mismatches
from edgecount.runtime.models.sidecar import EngineSidecar, read_sidecar

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

_log = logging.getLogger(__name__)


class FittingEngine(NamedTuple):
    """An engine that fits this machine as far as its sidecar can tell.

    Attributes:
        trt: the TensorRT module that runs it.
        plan: the engine's bytes.
        sidecar: the engine's sidecar; a new one if it was built again.
        gpu: the GPU that is to run it.
        driver: the driver here.
        rebuilt: whether it was built again just now.
    """

    trt: ModuleType
    plan: bytes
    sidecar: EngineSidecar
    gpu: Device
    driver: Driver
    rebuilt: bool = False


def fit_engine(engine: Engine, rebuild: Rebuild | None = None, device: int = 0) -> FittingEngine:
    """Check an engine against this machine.

    The driver comes first: without one, TensorRT ends the process in the middle of a call.

    Args:
        engine: the engine.
        rebuild: builds it again from the ONNX beside it if it does not fit; None: an error then.
        device: number of the GPU that is to run it.

    Raises:
        BackendError: no GPU, no TensorRT, or the engine does not fit; the message names both sides.
        MissingExtraError: TensorRT for RTX is not installed.
        ModelError: the plan cannot be read.
    """
    path, sidecar = engine
    driver = probe_driver()
    if isinstance(driver, str):
        raise BackendError(f"{path} needs a GPU: {driver}")
    # The library comes before the build of edgecount: without it nothing else is of use.
    trt = load_tensorrt(sidecar.backend)
    if reason := why_no_gpu(device):
        raise BackendError(f"{path} needs a GPU: {reason}")
    fitting = FittingEngine(trt, read_plan(path), sidecar, driver.devices[device], driver)
    problems = _mismatches(engine, fitting.plan, trt.__version__, driver, device)
    if not problems:
        return fitting
    fitting, advice = _build_again(engine, fitting, problems, rebuild)
    if fitting.rebuilt:
        built = Engine(path, fitting.sidecar)
        problems = _mismatches(built, fitting.plan, trt.__version__, driver, device)
    if problems:
        raise BackendError(f"{path} does not fit this machine: {'; '.join(problems)}: {advice}")
    return fitting


def refit_engine(
    engine: Engine, fitting: FittingEngine, refusal: str, rebuild: Rebuild | None
) -> FittingEngine:
    """Build an engine again that TensorRT refuses, though its sidecar finds nothing against it.

    Args:
        engine: the engine.
        fitting: what `fit_engine` made of it.
        refusal: what TensorRT said.
        rebuild: builds it again from the ONNX beside it; None: an error then.

    Raises:
        BackendError: it may not or cannot be built again, or was just now; begins with the refusal.
        ModelError: the plan cannot be read.
    """
    if fitting.rebuilt:
        raise BackendError(f"{refusal}, though it was built here just now")
    fitting, advice = _build_again(engine, fitting, [refusal], rebuild)
    if not fitting.rebuilt:
        raise BackendError(f"{refusal}: {advice}")
    return fitting


def _build_again(
    engine: Engine, fitting: FittingEngine, reasons: list[str], rebuild: Rebuild | None
) -> tuple[FittingEngine, str]:
    """Build an engine again if that is allowed and possible; return it, and advice if it is not."""
    path, sidecar = engine
    # Looked for only now: it hashes every ONNX of the folder.
    onnx = find_onnx(path, sidecar)
    advice = _advice(engine, onnx, asked=rebuild is not None)
    if rebuild is None or onnx is None:
        return fitting, advice
    first = fitting.driver.devices[0].kind
    if sidecar.backend == "tensorrt" and fitting.gpu.kind != first:
        # TensorRT builds for the GPU that it builds on.
        return fitting, (
            f"rebuild builds on the first GPU, which is {first}: make this one the first "
            "(CUDA_VISIBLE_DEVICES)"
        )
    lock = path.with_name(f"{path.name}.lock")
    # A service's processes find at the same time that TensorRT is another one: one of them builds.
    with locked(lock, busy=None, second="let one process at a time build it again"):
        try:
            made = _built_meanwhile(engine)
            if made is None:
                _log.warning(
                    "building %s again from %s, which takes minutes: %s",
                    *(path, onnx.name, "; ".join(reasons)),
                )
                started = time.monotonic()
                made = rebuild(path, sidecar, onnx, fitting.gpu.capability)
                _log.info("built %s again in %.0f s", path, time.monotonic() - started)
            plan = read_plan(path)
        finally:
            with suppress(OSError):
                lock.unlink()  # while it is held: see `locked`
    return fitting._replace(plan=plan, sidecar=made, rebuilt=True), advice


def _built_meanwhile(engine: Engine) -> EngineSidecar | None:
    """Return the sidecar of what another process has built since the engine was opened."""
    try:
        there = read_sidecar(engine.path)
    except ModelError:
        return None
    return None if there == engine.sidecar else there


def engine_problems(engine: Engine, plan: bytes, device: int = 0) -> list[str]:
    """Return all reasons why an engine would not run here; none if it would."""
    sidecar, driver = engine.sidecar, probe_driver()
    # Without the library here its version cannot differ: that it is missing is problem enough.
    problems, version = [], sidecar.version
    try:
        version = load_tensorrt(sidecar.backend).__version__
    except EdgeCountError as error:
        problems.append(str(error))
    if reason := why_no_gpu(device):
        wanted = ", ".join(sidecar.compute_capabilities)
        problems.append(f"{reason}; the engine needs a GPU of compute capability {wanted}")
    if isinstance(driver, str):
        return [*_files(engine, plan), *problems]
    return [*problems, *_mismatches(engine, plan, version, driver, device)]


def _mismatches(
    engine: Engine, plan: bytes, version: str, driver: Driver, device: int
) -> list[str]:
    return [*mismatches(engine.sidecar, version, driver, device), *_files(engine, plan)]


def _files(engine: Engine, plan: bytes) -> list[str]:
    """Return what is wrong with the plan, or with the ONNX of the same name."""
    path, sidecar = engine
    found = []
    if (digest := hashlib.sha256(plan).hexdigest()) != sidecar.plan_sha256:
        found.append(
            f"the plan is not the one that its sidecar describes (SHA-256 {digest[:12]}, expected "
            f"{sidecar.plan_sha256[:12]})"
        )
    # An ONNX of the engine's name that it was not built from: one of both is out of date.
    namesake = path.with_suffix(".onnx")
    if namesake.is_file() and find_onnx(path, sidecar) is None:
        found.append(
            f"{namesake.name} is not the ONNX that the engine was built from (SHA-256 "
            f"{file_sha256(namesake)[:12]}, expected {sidecar.onnx_sha256[:12]})"
        )
    return found


def _advice(engine: Engine, onnx: Path | None, *, asked: bool) -> str:
    path, sidecar = engine
    original = path.parent / "model.onnx"
    model = original if original.is_file() else onnx or sidecar.manifest.name
    command = f"build it here with  {build_command(model, sidecar.backend, sidecar.precision)}"
    if onnx is not None and not asked:
        return f"{command} , or open it with rebuild=True"
    if onnx is None and asked:
        return f"{command} ; the ONNX that it was built from is not beside it"
    return command


def read_plan(plan: Path) -> bytes:
    """Read an engine, or raise ModelError."""
    require_regular(plan)
    try:
        return plan.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the engine {plan}: {error.strerror}") from None
