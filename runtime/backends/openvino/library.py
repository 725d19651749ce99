"""The library: its import, the devices that it finds, and what these compute in."""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from contextlib import suppress
from types import ModuleType
from typing import Any

from edgecount._telemetry import openvino_unreported
from edgecount.errors import BackendError, MissingExtraError
from edgecount.runtime.backends.forks import leave_to_parent

DEVICES = {"openvino": "CPU", "openvino-gpu": "GPU", "openvino-npu": "NPU"}
"""OpenVINO's name of each backend's device."""

_LACKS = {
    "GPU": "no Intel GPU, or no driver for its compute part (package intel-opencl-icd)",
    "NPU": "no Intel NPU, or no driver for it (package intel-level-zero-npu)",
}
# Kernels that a model for any size keeps of sizes that it has seen, several for each. The default
# of 5000 takes 5 MB a size without end: 400 MB after a hundred photos of different sizes.
_KERNELS = 200
_lock = threading.Lock()


def load_openvino() -> ModuleType:
    """Import openvino, which sends nothing home then.

    Raises:
        MissingExtraError: it is not installed.
        BackendError: it is installed and cannot be loaded.
    """
    try:
        with _lock, openvino_unreported():
            import openvino
    except Exception as error:  # a build that does not fit raises whatever its C++ made of that
        if isinstance(error, ModuleNotFoundError) and error.name == "openvino":
            raise MissingExtraError("openvino", "openvino", "to run models with it") from None
        raise BackendError(f"openvino cannot be loaded: {reason(error)}") from error
    module: ModuleType = openvino
    if not hasattr(module, "Core"):  # a folder of that name on the path is a package, too
        raise BackendError("openvino cannot be loaded: what is imported by that name is not it")
    # Its table of NumPy's types is made at the first request, which gives up the GIL meanwhile, as
    # a static variable of C++: another thread with the GIL would wait for it, and for ever.
    with _lock:
        module.Type.f32.to_dtype()
    return module


def is_installed() -> bool:
    """Return whether the package is there, without loading it."""
    try:
        return importlib.util.find_spec("openvino") is not None
    except (ImportError, ValueError):  # of a module that something else has put in its place
        return False


@functools.cache
def core() -> Any:
    """Return the one `openvino.Core` of the process, which holds the devices' plugins.

    Raises:
        MissingExtraError, BackendError: see `load_openvino`.
    """
    openvino = load_openvino()
    try:
        found = openvino.Core()
    except Exception as error:
        raise BackendError(f"openvino cannot be started: {reason(error)}") from error
    with suppress(RuntimeError):  # no documented property: a release may have dropped it
        found.set_property("CPU", {"CPU_RUNTIME_CACHE_CAPACITY": _KERNELS})
    leave_to_parent(found)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=end_idle_threads)
    return found


def end_idle_threads() -> None:
    """End the threads of models that were closed; OpenVINO keeps them for the next ones.

    To be called before a fork: the child has none of the threads, and a model that it opens there
    would wait for them for ever. The plugin of the CPU ends them for the whole process when one of
    its instances ends (a few milliseconds). Threads of models in use stay.
    """
    with suppress(Exception):  # a fork goes on, whatever OpenVINO says
        other = load_openvino().Core()
        other.get_property("CPU", "FULL_DEVICE_NAME")  # which makes an instance of the plugin


def version() -> str:
    """Return the version without its build, such as "2026.4.1"."""
    found: str = load_openvino().get_version()
    return found.split("-", maxsplit=1)[0]


def list_devices() -> dict[str, str]:
    """Return the devices by OpenVINO's names, such as "CPU" and "GPU.0", with those they carry."""
    return {name: full_name(name) for name in core().available_devices}


def require_device(backend: str) -> str:
    """Return OpenVINO's name of a backend's device.

    Raises:
        BackendError: it is not there; the message names what is.
    """
    device = DEVICES[backend]
    if device == "CPU":  # asking for all of them would load the other plugins
        return device
    found = list_devices()
    if any(name.split(".")[0] == device for name in found):
        return device
    there = ", ".join(f"{name} ({text})" for name, text in found.items()) or "none"
    raise BackendError(f"backend {backend}: OpenVINO finds {_LACKS[device]}; devices here: {there}")


def full_name(device: str) -> str:
    """Return the name that a device carries, such as that of the CPU; OpenVINO's if it has none."""
    return str(_property(device, "FULL_DEVICE_NAME", device)).strip()


def capabilities(device: str) -> frozenset[str]:
    """Return what a device can compute in, such as FP32, BF16, FP16 and INT8."""
    return frozenset(_property(device, "OPTIMIZATION_CAPABILITIES", ()))


def supported_properties(device: str) -> frozenset[str]:
    """Return the names of the properties that a model for a device may be compiled with."""
    return frozenset(_property(device, "SUPPORTED_PROPERTIES", ()))


def _property(device: str, name: str, default: Any) -> Any:
    try:
        return core().get_property(device, name)
    except RuntimeError:  # which not every device answers
        return default


def reason(error: BaseException) -> str:
    """Return an error in one line: of OpenVINO's, what follows the places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return " ".join(told or lines) or type(error).__name__
