"""What could run a model: GPU, ONNX Runtime, TensorRT."""

from __future__ import annotations

import platform
from importlib import metadata
from importlib.util import find_spec

from edgecount.cli._doctor import Check
from edgecount.runtime.cuda_driver import Driver, ask_driver


def gpu() -> Check:
    """NVIDIA GPUs that the driver shows."""
    answer = ask_driver()
    if isinstance(answer, str):
        return Check("gpu", "ok", f"none: {answer}")
    if not answer.devices:
        return Check("gpu", "warn", "the driver shows no GPU", "look at nvidia-smi")
    names = ", ".join(
        f"{device.name} (sm_{device.capability.replace('.', '')}, {device.memory / 2**30:.0f} GiB)"
        for device in answer.devices
    )
    return Check("gpu", "ok", f"{names}, driver for CUDA {answer.cuda}")


def onnxruntime() -> Check:
    """ONNX Runtime and its execution providers."""
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name)]
    try:
        import onnxruntime as runtime
    except ImportError as error:
        found = str(error) if installed else "not installed"
        return Check("onnxruntime", "fail", found, 'run  pip install "edgecount[cpu]"')
    names = runtime.get_available_providers()
    providers = [name.removesuffix("ExecutionProvider") for name in names]
    found = f"{runtime.__version__} with {', '.join(providers)}"
    if len(installed) > 1:
        advice = "both install the same module: uninstall both, then install the one you want"
        return Check("onnxruntime", "warn", f"{found}, from {' and '.join(installed)}", advice)
    driver = ask_driver()
    if isinstance(driver, Driver) and driver.devices and "CUDA" not in providers:
        return Check("onnxruntime", "warn", found, _gpu_advice())
    return Check("onnxruntime", "ok", found)


def _gpu_advice() -> str:
    if platform.machine() == "aarch64":
        return "counting runs on the CPU: the GPU builds for this processor lack Jetson's GPUs"
    return (
        "counting runs on the CPU: for the GPU  pip uninstall onnxruntime  and then  "
        'pip install "edgecount[gpu]"'
    )


def tensorrt() -> Check:
    """Whether TensorRT's Python packages are installed."""
    packages = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
    names = [name for name in packages if find_spec(name)]
    if not names:
        return Check("tensorrt", "ok", "not installed (not needed)")
    found = ", ".join(f"{name} {_version(name) or ''}".strip() for name in names)
    return Check("tensorrt", "ok", f"{found} (not used by this version of edgecount)")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
