"""The check whether an engine fits this machine, before TensorRT is given it."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from edgecount._files import require_regular
from edgecount.errors import BackendError, EdgeCountError, ModelError
from edgecount.runtime.backends.tensorrt.library import load_tensorrt
from edgecount.runtime.cuda.driver import Driver, probe_driver, why_no_gpu
from edgecount.runtime.models.engines import Engine, Rebuild, build_command, file_sha256, find_onnx
from edgecount.runtime.models.portability import mismatches
from edgecount.runtime.models.sidecar import EngineSidecar

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
        driver: the driver here, with the GPU.
    """

    trt: ModuleType
    plan: bytes
    sidecar: EngineSidecar
    driver: Driver


def fit_engine(engine: Engine, rebuild: Rebuild | None = None) -> FittingEngine:
    """Check an engine against this machine.

    The driver comes first: without one, TensorRT ends the process in the middle of a call.

    Args:
        engine: the engine.
        rebuild: builds it again from the ONNX beside it if it does not fit; None: an error then.

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
    if reason := why_no_gpu():
        raise BackendError(f"{path} needs a GPU: {reason}")
    plan = read_plan(path)
    problems = _mismatches(engine, plan, trt.__version__, driver)
    # Looked for only now: it hashes every ONNX of the folder.
    onnx = find_onnx(path, sidecar) if problems else None
    if problems and rebuild is not None and onnx is not None:
        _log.warning(
            "building %s again from %s, which takes minutes: %s",
            *(path, onnx.name, "; ".join(problems)),
        )
        started = time.monotonic()
        sidecar = rebuild(path, sidecar, onnx, driver.devices[0].capability)
        _log.info("built %s again in %.0f s", path, time.monotonic() - started)
        plan = read_plan(path)
        problems = _mismatches(Engine(path, sidecar), plan, trt.__version__, driver)
    if problems:
        advice = _advice(engine, onnx, asked=rebuild is not None)
        raise BackendError(f"{path} does not fit this machine: {'; '.join(problems)}: {advice}")
    return FittingEngine(trt, plan, sidecar, driver)


def engine_problems(engine: Engine, plan: bytes) -> list[str]:
    """Return all reasons why an engine would not run here; none if it would."""
    sidecar, driver = engine.sidecar, probe_driver()
    # Without the library here its version cannot differ: that it is missing is problem enough.
    problems, version = [], sidecar.version
    try:
        version = load_tensorrt(sidecar.backend).__version__
    except EdgeCountError as error:
        problems.append(str(error))
    if reason := why_no_gpu():
        wanted = ", ".join(sidecar.compute_capabilities)
        problems.append(f"{reason}; the engine needs a GPU of compute capability {wanted}")
    if isinstance(driver, str):
        return [*_files(engine, plan), *problems]
    return [*problems, *_mismatches(engine, plan, version, driver)]


def _mismatches(engine: Engine, plan: bytes, version: str, driver: Driver) -> list[str]:
    return [*mismatches(engine.sidecar, version, driver), *_files(engine, plan)]


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
