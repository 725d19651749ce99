"""What the NVIDIA driver says, asked by ctypes, so that no CUDA package is needed."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


class Device(NamedTuple):
    """One GPU: its name, compute capability such as "8.7", and memory in bytes."""

    name: str
    capability: str
    memory: int


class Driver(NamedTuple):
    """The driver's CUDA version such as "13.0", and its devices."""

    cuda: str
    devices: list[Device]


def ask_driver() -> Driver | str:
    """The driver and its devices, or why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1 is not there)"
    code = cuda.cuInit(0)
    if code != 0:
        return f"the NVIDIA driver does not start ({_error_name(cuda, code)})"
    version, number = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(number))
    text = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Driver(text, [_device(cuda, index) for index in range(number.value)])


def _device(cuda: ctypes.CDLL, index: int) -> Device:
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory, name = ctypes.c_size_t(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(handle), index)
    cuda.cuDeviceGetName(name, len(name), handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    return Device(name.value.decode(), f"{major.value}.{minor.value}", memory.value)


def _error_name(cuda: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(code, ctypes.byref(name))
    return name.value.decode() if name.value else f"error {code}"
