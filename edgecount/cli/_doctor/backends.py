"""The backends on the GPU: which would run here, and what the others lack."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgecount.cli._doctor import Check
from edgecount.cli._doctor.engines import Runtime, built_for_others, has_gpu
from edgecount.cli._doctor.jetson import is_jetson
from edgecount.cli._doctor.tensorrt import Module, Modules


class _Way(NamedTuple):
    """A backend: why it does not run here, and what would change that."""

    name: str
    problem: str = ""
    advice: str = ""


def backends(root: Path, modules: Modules, runtime: Runtime) -> Check:
    """The sum of the checks before it, as what `--backend` takes."""
    jetson = is_jetson(root)
    common = _common_problem()
    ways = [_tensorrt(modules.tensorrt, common, jetson=jetson)]
    if not jetson:  # TensorRT for RTX has no code for their GPUs
        ways.append(_rtx(modules.rtx, common))
    ways.append(_onnxruntime_cuda(runtime, jetson=jetson))
    missing = ", ".join(f"{way.name} ({way.problem})" for way in ways if way.problem)
    working = ", ".join(way.name for way in ways if not way.problem)
    if working:
        return Check("backends", "ok", f"{working}{'; not ' if missing else ''}{missing}")
    advice = "\n".join(dict.fromkeys(way.advice for way in ways if way.advice))
    return Check("backends", "warn", f"counting runs on the CPU; not {missing}", advice)


def _common_problem() -> str:
    from edgecount import _ext

    if not has_gpu():
        return "the driver shows no GPU"
    if not _ext.cuda_built:
        return "edgecount is built without CUDA"
    if not _ext.cuda_device_count():
        return "CUDA finds no GPU"
    return "edgecount is built for other GPUs" if built_for_others() else ""


def _tensorrt(module: Module | None, common: str, *, jetson: bool) -> _Way:
    if module is None:
        advice = "see tensorrt above" if jetson else "for tensorrt:  pip install tensorrt"
        return _Way("tensorrt", "not installed", advice)
    return _of_module("tensorrt", module, common)


def _rtx(module: Module | None, common: str) -> _Way:
    if module is None:
        advice = 'for tensorrt-rtx:  pip install "edgecount[rtx]"'
        return _Way("tensorrt-rtx", "not installed", advice)
    return _of_module("tensorrt-rtx", module, common)


def _of_module(name: str, module: Module, common: str) -> _Way:
    if not module.works:
        return _Way(name, "does not load", "see tensorrt above")
    return _Way(name, common, "see edgecount and gpu above" if common else "")


def _onnxruntime_cuda(runtime: Runtime, *, jetson: bool) -> _Way:
    name = "onnxruntime-cuda"
    if "CUDA" in runtime.providers and runtime.cuda_problem:
        advice = "for onnxruntime-cuda: CUDA and cuDNN of the versions that it was built for"
        return _Way(name, runtime.cuda_problem, "" if jetson else advice)
    if "CUDA" in runtime.providers:
        return _Way(name, "" if has_gpu() else "the driver shows no GPU")
    if jetson:
        return _Way(name, "PyPI's builds have no code for this GPU")
    advice = 'for onnxruntime-cuda:  pip uninstall onnxruntime  and  pip install "edgecount[gpu]"'
    problem = "onnxruntime does not load" if runtime.problem else "this onnxruntime has no CUDA"
    return _Way(name, problem, advice)
