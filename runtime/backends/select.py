"""The choice of the engine that runs a model: TensorRT where one fits, else ONNX Runtime."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from edgecount._options import check_threads
from edgecount.errors import BackendError, EdgeCountError, MissingExtraError
from edgecount.models import list_models, model_path
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.choose import choose_onnx
from edgecount.runtime.models.engines import (
    Engine,
    Rebuild,
    build_command,
    engines_for,
    list_engines,
    same_network,
)
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.open import open_onnx_file
from edgecount.runtime.models.sidecar import TARGETS, Target

if TYPE_CHECKING:
    from pathlib import Path

BACKENDS = ("auto", "onnxruntime", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx", "fake")

_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """An engine, and the model that it runs: of a folder, the file that was chosen."""

    backend: Backend
    model: ModelFile


def open_backend(
    model: ModelFile,
    backend: str | Backend = "auto",
    *,
    threads: int | None = None,
    rebuild: Rebuild | None = None,
) -> Opened:
    """Open the engine for a model.

    Args:
        model: the model's file; of a folder, the file that suits the engine and this machine best
            is run in its place.
        backend: one of `BACKENDS`, or a backend of the caller's, which is only prepared. "auto"
            takes the best engine that works here and logs which it is and why not a better one.
            An engine asked for by name is never replaced by another.
        threads: threads of the engine on the CPU; None: one per core.
        rebuild: builds a TensorRT engine again that does not fit this machine, from the ONNX beside
            it; None: it is not run then.

    Raises:
        BackendError: the engine does not exist or does not work here.
        MissingExtraError: its package is not installed.
        ModelError: the engine cannot load the model.
        ConfigError: there is no such number of threads.
    """
    check_threads(threads)
    if isinstance(backend, Backend):
        # The caller's: it is prepared, and never opened or closed here.
        backend.prepare(model.manifest)
        return Opened(backend, model)
    if backend == "fake":
        from edgecount.runtime.backends.fake import FakeBackend

        fake = FakeBackend()
        fake.prepare(model.manifest)
        return Opened(fake, model)
    if backend not in BACKENDS:
        close = difflib.get_close_matches(str(backend), BACKENDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise BackendError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}{hint}")
    if model.path is None:
        raise BackendError(
            f"backend: expected a Backend of your own, or a model file, got {backend!r} and a "
            "manifest alone"
        )
    if backend == "auto":
        return _open_best(model, threads, rebuild)
    if backend in ("tensorrt", "tensorrt-rtx"):
        return _open_engine(model, cast("Target", backend), rebuild)
    return _open_onnx(model, backend, threads, rebuild)


def _open_onnx(
    model: ModelFile, backend: str, threads: int | None, rebuild: Rebuild | None
) -> Opened:
    """Open an ONNX file, of a folder the best, with ONNX Runtime as it was asked for by name."""
    if model.folder is None and model.sidecar is not None:
        raise BackendError(
            f"{model.path} is an engine of {model.sidecar.backend}, which {backend} cannot run: "
            "pass the .onnx that it was built from, or leave backend at 'auto'"
        )
    from edgecount.runtime.backends.onnxruntime.open import open_onnxruntime

    if rebuild is not None:
        _warn_of_idle_rebuild(f"{backend} runs the .onnx, and no engine")
    device = "cuda:0" if backend == "onnxruntime-cuda" else "cpu"
    chosen = _chosen_onnx(model, device)
    if chosen is None:
        raise BackendError(
            f"backend {backend}: the folder {model.folder} holds no .onnx: leave backend at 'auto'"
        )
    return Opened(open_onnxruntime(chosen, device, threads), chosen)


def _chosen_onnx(model: ModelFile, device: str) -> ModelFile | None:
    """Return the ONNX file to run on a device, of a folder the best there; None: it holds none."""
    if model.folder is None:
        return model
    choice = choose_onnx(model.folder, device)
    if choice is None:
        return None
    chosen = open_onnx_file(choice.path, model.folder)
    if not same_network(chosen.manifest, model.manifest):
        _log.warning("%s is not used: it is of another model than %s", choice.path, model.path)
        return model if model.sidecar is None else None
    _log.info("file %s: %s", choice.path.name, choice.reason)
    return chosen


def _open_best(model: ModelFile, threads: int | None, rebuild: Rebuild | None) -> Opened:
    """Open the best engine that works here; log which it is and why not a better one.

    A file that was named is the one that runs; only in a folder is there a choice.
    """
    if model.sidecar is not None and model.folder is None:
        backend = _open_engine(model, model.sidecar.backend, rebuild)
        _log.info("backend %s on %s", backend.backend.name, backend.backend.device)
        return backend
    from edgecount.runtime.backends.onnxruntime import open as onnxruntime

    # A bare .onnx may have engines beside it, which were not what the caller named.
    if model.folder is None:
        if rebuild is not None:
            _warn_of_idle_rebuild(f"{model.path} is no engine, and runs without one")
        reasons = ["not tensorrt: no folder of edgecount export was given"]
        return Opened(onnxruntime.open_best(model, threads, reasons), model)
    if rebuild is not None and not list_engines(model.folder):
        _warn_of_idle_rebuild(f"the folder {model.folder} holds no engine")
    opened, reasons = _open_any(model, None)
    if opened is None and rebuild is not None:  # one that fits is better than one to be built first
        opened, reasons = _open_any(model, rebuild)
    if opened is not None:
        runs, path = opened.backend, opened.model.path
        _log.info("; ".join([f"backend {runs.name} on {runs.device}", *reasons]))
        _log.info("file %s: the engine that fits this machine", path.name if path else "")
        return opened
    try:
        chosen = _chosen_onnx(model, onnxruntime.likely_device())
        if chosen is None:
            raise BackendError(f"no engine in {model.folder} runs here: {'; '.join(reasons)}")
        return Opened(onnxruntime.open_best(chosen, threads, reasons), chosen)
    except MissingExtraError as error:
        if not list_engines(model.folder):
            raise
        # Boards that run engines need no ONNX Runtime: why the engine does not run says more.
        raise BackendError(f"{'; '.join(reasons)}; and {error}") from error


def _open_engine(model: ModelFile, target: Target, rebuild: Rebuild | None) -> Opened:
    """Open the best engine of a model that a target can run.

    Raises:
        BackendError: there is no such engine, or none works here; the message says what to do.
        MissingExtraError: TensorRT for RTX is not installed.
        ModelError: the plan cannot be read.
    """
    engines, problems = engines_for(model, target)
    if not engines:
        raise BackendError(_none_found(model, target, problems))
    if len(engines) == 1:
        return _open(engines[0], rebuild)
    # An engine that fits as it is comes before one that must be built first, which takes minutes.
    for build in dict.fromkeys((None, rebuild)):
        problems = []
        opened = _try_each(engines, build, problems)
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


def _open_any(model: ModelFile, rebuild: Rebuild | None) -> tuple[Opened | None, list[str]]:
    """Open an engine in a folder; return it with the reasons against those of better libraries."""
    reasons: list[str] = []
    for target in TARGETS:
        engines, problems = engines_for(model, target)
        opened = _try_each(engines, rebuild, problems)
        if opened is not None:
            return opened, reasons
        reasons.append(f"not {target}: {_joined(problems) or 'there is no engine of it'}")
    return None, reasons


def _try_each(
    engines: Sequence[Engine], rebuild: Rebuild | None, problems: list[str]
) -> Opened | None:
    """Open the first engine that works; add to the problems why those before it do not."""
    for engine in engines:
        try:
            return _open(engine, rebuild)
        except EdgeCountError as error:  # noqa: PERF203 (a few engines at most)
            problems.append(str(error))
    return None


def _open(engine: Engine, rebuild: Rebuild | None) -> Opened:
    from edgecount.runtime.backends.tensorrt.backend import TensorRTBackend

    path, sidecar = engine
    model = ModelFile(path, sidecar.manifest, sidecar=sidecar)
    return Opened(TensorRTBackend(engine, rebuild), model)


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
