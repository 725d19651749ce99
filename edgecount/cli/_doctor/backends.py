"""Backends on the GPU: which would run on this machine, and what the others lack."""

from __future__ import annotations

from pathlib import Path

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.engines import Runtime, built_for_others, has_gpu
from edgecount.cli._doctor.jetson import is_jetson
from edgecount.cli._doctor.tensorrt import Module, Modules

_Problem = tuple[str, str]  # why a backend does not run, "" if it does, and how to change that


def backends(root: Path, modules: Modules, runtime: Runtime) -> Check:
    """Sum up the checks before this one as the values of `--backend` that work."""
    jetson = is_jetson(root)
    install = "see tensorrt above" if jetson else "for tensorrt:  pip install tensorrt"
    found = {"tensorrt": _tensorrt(modules.tensorrt, install)}
    if not jetson:  # TensorRT for RTX has no code for their GPUs
        install = 'for tensorrt-rtx:  pip install "edgecount[rtx]"'
        found["tensorrt-rtx"] = _tensorrt(modules.rtx, install)
    found["onnxruntime-cuda"] = _onnxruntime_cuda(runtime, jetson=jetson)
    missing = ", ".join(f"{name} ({problem})" for name, (problem, _) in found.items() if problem)
    working = ", ".join(name for name, (problem, _) in found.items() if not problem)
    if working:
        return Check("backends", "ok", f"{working}{'; not ' if missing else ''}{missing}")
    advice = "\n".join(dict.fromkeys(advice for _, advice in found.values() if advice))
    return Check("backends", "warn", f"counting runs on the CPU; not {missing}", advice)


def _tensorrt(module: Module | None, install: str) -> _Problem:
    if module is None:
        return "not installed", install
    if not module.works:
        return "does not load", "see tensorrt above"
    problem = _own_problem()
    return problem, "see edgecount and gpu above" if problem else ""


def _own_problem() -> str:
    """Say why edgecount's own kernels do not run on the GPU; "" if they do."""
    from edgecount import _ext

    if not has_gpu():
        return "the driver shows no GPU"
    if not _ext.cuda_built:
        return "edgecount is built without CUDA"
    if not _ext.cuda_device_count():
        return "CUDA finds no GPU"
    return "edgecount is built for other GPUs" if built_for_others() else ""


def _onnxruntime_cuda(runtime: Runtime, *, jetson: bool) -> _Problem:
    if "CUDA" in runtime.providers and runtime.cuda_problem:
        advice = "for onnxruntime-cuda: CUDA and cuDNN of the versions that it was built for"
        return runtime.cuda_problem, "" if jetson else advice
    if "CUDA" in runtime.providers:
        return "" if has_gpu() else "the driver shows no GPU", ""
    if jetson:
        return "PyPI's builds have no code for this GPU", ""
    problem = "onnxruntime does not load" if runtime.problem else "this onnxruntime has no CUDA"
    advice = 'for onnxruntime-cuda:  pip uninstall onnxruntime  and  pip install "edgecount[gpu]"'
    return problem, advice
