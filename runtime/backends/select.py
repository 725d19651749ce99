"""The choice of the engine that runs a model: TensorRT where one fits, else one for ONNX files."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, cast

from edgecount._numbers import is_number
from edgecount._options import check_backend, check_precision, check_threads
from edgecount.errors import BackendError, ConfigError, EdgeCountError, MissingExtraError
from edgecount.models import list_models, model_path
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.onnx_run import (
    Opened,
    RunOptions,
    choose_run,
    open_run,
    usable_engines,
)
from edgecount.runtime.backends.openvino.library import require_device
from edgecount.runtime.cuda.driver import FORKED, probe_driver
from edgecount.runtime.models.engines import (
    Engine,
    Rebuild,
    build_command,
    engines_for,
    list_engines,
)
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.sidecar import NUMBERS, TARGETS, Target

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.runtime.backends.onnx_run import Run
    from edgecount.runtime.backends.proofs import Prove

_log = logging.getLogger(__name__)


def open_backend(
    model: ModelFile,
    backend: str | Backend = "auto",
    *,
    threads: int | None = None,
    precision: str = "auto",
    rebuild: Rebuild | None = None,
    prove: Prove | None = None,
    device: int | None = None,
) -> Opened:
    """Open the engine for a model.

    Args:
        model: the model's file; of a folder, the file that suits the engine and this machine best
            is run in its place.
        backend: one of `BACKENDS`, or a backend of the caller's, which is only prepared. "auto"
            takes the best engine that works here and logs which it is and why not a better one.
            An engine asked for by name is never replaced by another.
        threads: threads of the engine on the CPU; None: all that this process may use.
        precision: "auto", or the kind of numbers to compute in, one of `PRECISIONS`.
        rebuild: builds a TensorRT engine again that does not fit this machine, from the ONNX beside
            it; None: it is not run then.
        prove: compares the counts of a faster precision with exact ones where no proof of it is
            held; None: it is not used then.
        device: number of the GPU, on which the engine then has to run; None: the first, or a CPU.

    Raises:
        BackendError: the engine does not work here, or not in this precision or not on that GPU.
        MissingExtraError: its package is not installed.
        ModelError: the engine cannot load the model.
        ConfigError: there is no such backend, number of threads or precision.
    """
    check_threads(threads)
    check_precision(precision)
    opened = _open_model(model, backend, threads, precision, rebuild, prove, device or 0)
    if device is not None and opened.backend.device != f"cuda:{device}":
        if opened.backend is not backend:
            opened.backend.close()
        raise BackendError(
            f"device: CUDA device {device} was asked for, and {opened.backend.name} runs on "
            f"{opened.backend.device}: leave device out, or name a backend of a GPU, which "
            "says why it does not work here"
        )
    found = opened.backend.precision
    # A file's INT8 stays what it is: a precision is of what it leaves in floats.
    floats = found.removeprefix("int8").removeprefix("+") or "float32"
    if precision not in ("auto", floats):
        if opened.backend is not backend:  # which is the caller's
            opened.backend.close()
        raise BackendError(
            f"precision: {precision} was asked for, and {opened.backend.name} computes "
            f"{opened.model.path or opened.model.manifest.name} in {found}: leave precision at "
            "'auto', or name another file or backend"
        )
    return opened


def _check_lanes(backend: Backend) -> None:
    lanes: object = backend.lanes  # the caller's: it may be anything
    if not is_number(lanes, Integral) or lanes < 1:
        raise ConfigError(
            f"lanes of the backend {backend.name}: expected a number of frames, 1 or more, got "
            f"{lanes!r}"
        )


def _open_model(
    model: ModelFile,
    backend: str | Backend,
    threads: int | None,
    precision: str,
    rebuild: Rebuild | None,
    prove: Prove | None,
    gpu: int,
) -> Opened:
    if isinstance(backend, Backend):
        # The caller's: it is prepared, and never opened or closed here.
        backend.prepare(model.manifest)
        _check_lanes(backend)
        return Opened(backend, model)
    if backend == "fake":
        from edgecount.runtime.backends.fake import FakeBackend

        fake = FakeBackend()
        fake.prepare(model.manifest)
        return Opened(fake, model)
    check_backend(backend)
    if model.path is None:
        raise BackendError(
            f"backend: expected a Backend of your own, or a model file, got {backend!r} and a "
            "manifest alone"
        )
    if backend == "auto":
        return _open_best(model, RunOptions((), threads, precision, prove, gpu), rebuild)
    if backend in ("tensorrt", "tensorrt-rtx"):
        return _open_engine(model, cast("Target", backend), rebuild, gpu, precision)
    return _open_onnx(model, RunOptions((backend,), threads, precision, prove, gpu), rebuild)


def _open_onnx(model: ModelFile, options: RunOptions, rebuild: Rebuild | None) -> Opened:
    """Open an ONNX file, of a folder the best, with the engine that was asked for by name."""
    (backend,) = options.engines
    if model.folder is None and model.sidecar is not None:
        raise BackendError(
            f"{model.path} is an engine of {model.sidecar.backend}, which {backend} cannot run: "
            "pass the .onnx that it was built from, or leave backend at 'auto'"
        )
    if rebuild is not None:
        _warn_of_idle_rebuild(f"{backend} runs the .onnx, and no engine")
    if options.openvino is not None:
        require_device(backend)
    run = choose_run(model, options)
    if run is None:
        raise BackendError(
            f"backend {backend}: the folder {model.folder} holds no .onnx: leave backend at 'auto'"
        )
    _tell(run)
    return open_run(run, options)


def _tell(run: Run) -> None:
    """Log which file of a folder runs, and in what numbers."""
    if run.model.folder is not None and run.model.path is not None:
        _log.info("file %s: %s", run.model.path.name, run.reason)
    _log.info("precision %s with %s", run.precision, run.backend)


def _open_best(model: ModelFile, options: RunOptions, rebuild: Rebuild | None) -> Opened:
    """Open the best engine that works here; log which it is and why not a better one.

    A file that was named is the one that runs; only in a folder is there a choice.
    """
    if model.sidecar is not None and model.folder is None:
        backend = _open_engine(model, model.sidecar.backend, rebuild, options.gpu)
        _log.info("backend %s on %s", backend.backend.name, backend.backend.device)
        return backend
    # A bare .onnx may have engines beside it, which were not what the caller named.
    if model.folder is None:
        if rebuild is not None:
            _warn_of_idle_rebuild(f"{model.path} is no engine, and runs without one")
        return _open_best_onnx(
            model, options, ["not tensorrt: no folder of edgecount export was given"]
        )
    if rebuild is not None and not list_engines(model.folder):
        _warn_of_idle_rebuild(f"the folder {model.folder} holds no engine")
    opened, reasons = _open_any(model, None, options)
    if opened is None and rebuild is not None:  # one that fits is better than one to be built first
        opened, reasons = _open_any(model, rebuild, options)
    if opened is not None:
        runs, path = opened.backend, opened.model.path
        _log.info("; ".join([f"backend {runs.name} on {runs.device}", *reasons]))
        _log.info("file %s: the engine that fits this machine", path.name if path else "")
        return opened
    try:
        return _open_best_onnx(model, options, reasons)
    except MissingExtraError as error:
        if not list_engines(model.folder):
            raise
        # Boards that run engines need no ONNX Runtime: why the engine does not run says more.
        raise BackendError(f"{'; '.join(reasons)}; and {error}") from error


def _open_best_onnx(model: ModelFile, options: RunOptions, reasons: list[str]) -> Opened:
    """Open an ONNX file, of a folder the best, with the best engine for these that works here."""
    engines, problems = usable_engines(model, options.precision)
    if not engines:
        raise problems[0]
    # A package that is broken is no reason to count nothing.
    reasons += [str(problem) for problem in problems if not isinstance(problem, MissingExtraError)]
    if "onnxruntime" in engines:
        found = _open_on_cuda(model, options)
        if not isinstance(found, str):
            _log.info("; ".join([f"backend onnxruntime-cuda on {found.backend.device}", *reasons]))
            return found
        reasons.append(f"not onnxruntime-cuda: {found}")
    run = choose_run(model, dataclasses.replace(options, engines=tuple(engines)))
    if run is None:
        raise BackendError(f"no engine in {model.folder} runs here: {'; '.join(reasons)}")
    if options.precision not in ("auto", run.precision) and "openvino" not in engines and problems:
        raise problems[-1]
    opened = open_run(run, options)
    # With a GPU that would work in a process of its own, the CPU is hardly what was meant.
    is_fork = any(FORKED in reason for reason in reasons)
    level = logging.WARNING if is_fork else logging.INFO
    _log.log(level, "; ".join([f"backend {run.backend} on the CPU", *reasons]))
    _tell(run)
    return opened


def _open_on_cuda(model: ModelFile, options: RunOptions) -> Opened | str:
    """Open an ONNX file with ONNX Runtime on the GPU, else return why not."""
    from edgecount.runtime.backends.onnxruntime.open import try_cuda

    run = choose_run(model, dataclasses.replace(options, engines=("onnxruntime-cuda",)))
    if run is None:
        return "there is no .onnx"
    if options.precision not in ("auto", run.precision):
        return f"it computes in {run.precision}"
    found = try_cuda(run.model, options.threads, options.gpu)
    return found if isinstance(found, str) else Opened(found, run.model)


def _open_engine(
    model: ModelFile,
    target: Target,
    rebuild: Rebuild | None,
    gpu: int,
    precision: str = "auto",
) -> Opened:
    """Open the best engine of a model that a target can run.

    Raises:
        BackendError: there is no such engine, or none works here; the message says what to do.
        MissingExtraError: TensorRT for RTX is not installed.
        ModelError: the plan cannot be read.
    """
    engines, problems = engines_for(model, target)
    engines = _of_precision(engines, precision) or engines
    if not engines:
        raise BackendError(_none_found(model, target, problems))
    if len(engines) == 1:
        return _open(engines[0], rebuild, gpu)
    # An engine that fits as it is comes before one that must be built first, which takes minutes.
    for build in dict.fromkeys((None, rebuild)):
        problems = []
        opened = _try_each(engines, build, gpu, problems)
        if opened is not None:
            return opened
    raise BackendError(f"no engine of {target} runs here: {_joined(problems)}")


def _warn_of_idle_rebuild(reason: str) -> None:
    """Warn that there is nothing to build again: who asks for a rebuild expects an engine."""
    _log.warning(
        "rebuild has no effect: %s; pass an engine, or the folder that edgecount export made with "
        "one",
        reason,
    )


def _open_any(
    model: ModelFile, rebuild: Rebuild | None, options: RunOptions
) -> tuple[Opened | None, list[str]]:
    """Open an engine in a folder; return it with the reasons against those of better libraries."""
    reasons: list[str] = []
    for target in TARGETS:
        engines, problems = engines_for(model, target)
        engines = _of_precision(engines, options.precision)
        opened = _try_each(engines, rebuild, options.gpu, problems)
        if opened is not None:
            return opened, reasons
        reasons.append(f"not {target}: {_joined(problems) or 'there is no engine of it'}")
    return None, reasons


def _of_precision(engines: Sequence[Engine], precision: str) -> list[Engine]:
    """Return the engines that compute in a precision; all of them for "auto"."""
    return [e for e in engines if precision in ("auto", NUMBERS[e.sidecar.precision])]


def _try_each(
    engines: Sequence[Engine], rebuild: Rebuild | None, gpu: int, problems: list[str]
) -> Opened | None:
    """Open the first engine that works; add to the problems why those before it do not."""
    for engine in engines:
        try:
            return _open(engine, rebuild, gpu)
        except EdgeCountError as error:  # noqa: PERF203 (a few engines at most)
            problems.append(str(error))
    return None


def _open(engine: Engine, rebuild: Rebuild | None, gpu: int) -> Opened:
    from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend

    path, sidecar = engine
    backend = TensorRTBackend(engine, rebuild, device=gpu)
    # Of an engine that was built again, so that it is opened on further GPUs as it is now.
    return Opened(backend, ModelFile(path, sidecar.manifest, sidecar=backend.sidecar))


def _none_found(model: ModelFile, target: Target, problems: Sequence[str]) -> str:
    if model.sidecar is not None and model.folder is None:
        return (
            f"{model.path} is an engine of {model.sidecar.backend}, and {target} was asked for: "
            f"leave backend at 'auto', or build it for {target}"
        )
    if beside := _beside(model, target):
        return (
            f"backend {target}: {beside} was not built from {model.path}, and is of the same "
            f"model: pass the folder {beside.parent}, or the engine"
        )
    driver = probe_driver()
    if isinstance(driver, str):
        return (
            f"backend {target} needs an NVIDIA GPU: {driver}; without one leave backend at 'auto'"
        )
    where = model.folder or model.path
    found = "holds" if model.folder else "has beside it"
    name = model.manifest.name
    bundled = name in list_models() and model.path == model_path(name)
    original = model.path if model.sidecar is None else None
    command = build_command(name if bundled else original or "MODEL", target)
    why = f" ({_joined(problems)})" if problems else ""
    return (
        f"backend {target}: {where} {found} no engine of {target}{why}: run  {command}  on this "
        "machine and pass the folder that it makes"
    )


def _beside(model: ModelFile, target: Target) -> Path | None:
    """Find an engine of the same model beside an .onnx, built from another file of the folder."""
    if model.folder is not None or model.path is None:
        return None
    engines, _ = engines_for(dataclasses.replace(model, folder=model.path.parent), target)
    return engines[0].path if engines else None


def _joined(problems: Sequence[str]) -> str:
    """Join problems, each once: several engines often fail for one reason."""
    return "; ".join(dict.fromkeys(problems))
