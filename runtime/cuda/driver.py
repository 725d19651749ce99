"""The NVIDIA driver, asked by ctypes, so that no CUDA package is needed, and its failures."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from edgecount.errors import BackendError
from edgecount.runtime.cuda.build_check import why_not_built_for

# CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_* and _MULTIPROCESSOR_COUNT
_MAJOR, _MINOR, _PROCESSORS = 75, 76, 16
_NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED, which cuInit itself gives in a fork alone

FORKED = (
    "this process was forked from one that uses the GPU, and CUDA does not work in it: start "
    'processes by "spawn" (multiprocessing.get_context), or open counters in the forked ones alone'
)
_started: set[int] = set()  # processes in which the driver was started here

_BUILD = (
    "this edgecount was built without CUDA: install the CUDA toolkit, whose nvcc the build needs, "
    "and run  CMAKE_ARGS=-DEDGECOUNT_CUDA=ON pip install --force-reinstall --no-deps .  in its "
    "sources"
)


class Device(NamedTuple):
    """One GPU.

    Attributes:
        name: name by the driver.
        capability: compute capability, such as "8.7".
        memory: size of its memory in bytes.
        processors: number of streaming multiprocessors.
    """

    name: str
    capability: str
    memory: int
    processors: int

    @property
    def kind(self) -> str:
        """Kind of GPU that an engine is built for: by name alone, all Orins are "Orin"."""
        return f"{self.name} with {self.processors} multiprocessors"


class Driver(NamedTuple):
    """The NVIDIA driver.

    Attributes:
        cuda: newest CUDA version that it knows, such as "13.0".
        devices: the GPUs.
    """

    cuda: str
    devices: list[Device]


def ask_driver() -> Driver | str:
    """Return the driver and its devices, or why there is none."""
    if _is_fork():
        return FORKED
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1 is not there)"
    reason = _start(cuda)
    if reason is not None:
        return reason
    version, number = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(number))
    text = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Driver(text, [_device(cuda, index) for index in range(number.value)])


def probe_driver() -> Driver | str:
    """Return the driver with at least one device, or the reason why no GPU works.

    TensorRT asks for a GPU deep inside calls that end the process when there is none, so ask first.
    """
    answer = ask_driver()
    if not isinstance(answer, str) and not answer.devices:
        return "the NVIDIA driver shows no GPU"
    return answer


def why_no_gpu(device: int = 0) -> str | None:
    """Return why edgecount cannot use a GPU here; None if it can.

    Args:
        device: number of the GPU, as CUDA counts them.
    """
    from edgecount import _ext

    answer = probe_driver()
    if isinstance(answer, str):
        return answer
    if not _ext.cuda_built:
        return _BUILD
    if _ext.cuda_device_count() < 1:
        return (
            f"CUDA finds no GPU that it can use, though the driver shows {answer.devices[0].name}: "
            "look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
        )
    if device >= len(answer.devices):
        return (
            f"there is no CUDA device {device}: the driver shows {len(answer.devices)}, numbered "
            "from 0; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
        )
    gpu = answer.devices[device]
    return why_not_built_for(gpu.name, gpu.capability, _ext.cuda_architectures)


class PrimaryContext:
    """A context manager that makes a GPU's primary context current on the calling thread.

    TensorRT works in the context that is current, and our memory and streams are in the primary
    one. PyCUDA may have made another one current, and torch another GPU. Several threads may use
    one object at once. Without a driver it does nothing.

    Raises:
        BackendError: the driver does not start or give the context, or this process was forked
            from one that uses it.
    """

    def __init__(self, device: int) -> None:
        self._process = os.getpid()
        try:
            self._cuda: ctypes.CDLL | None = ctypes.CDLL("libcuda.so.1")
        except OSError:
            self._cuda = None
            return
        # It is never given back: the process has one for as long as it uses the GPU.
        self._context = ctypes.c_void_p()
        # Surfaces of NVMM may be opened before anything else has started the driver.
        reason = FORKED if _is_fork() else _start(self._cuda)
        if reason is not None:
            raise BackendError(reason)
        self._check(self._cuda.cuDevicePrimaryCtxRetain(ctypes.byref(self._context), device))

    @property
    def is_lost(self) -> bool:
        """Whether this process is a fork of the one that has the context.

        What lies in the context then goes with the process: to free it would need CUDA.
        """
        return self._process != os.getpid()

    def __enter__(self) -> None:
        if self.is_lost:
            raise BackendError(FORKED)
        if self._cuda is not None:
            self._check(self._cuda.cuCtxPushCurrent_v2(self._context))

    def __exit__(self, *_: object) -> None:
        if self._cuda is not None:
            self._cuda.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    def _check(self, code: int) -> None:
        if code != 0 and self._cuda is not None:
            raise BackendError(f"the GPU cannot be used: {_error_name(self._cuda, code)}")


@contextmanager
def gpu_failures(name: str = "the GPU") -> Iterator[None]:
    """Raise BackendError, by who failed, for the RuntimeError that `edgecount._ext` raises."""
    try:
        yield
    except RuntimeError as error:
        raise BackendError(f"{name} failed: {error}") from error


def _is_fork() -> bool:
    """Return whether this process is a fork of one in which the driver was started here."""
    return bool(_started) and os.getpid() not in _started


def _start(cuda: ctypes.CDLL) -> str | None:
    """Start the driver in this process, or return why it does not start.

    It makes no context, so that this takes none of the GPU's memory.
    """
    code = cuda.cuInit(0)
    if code == _NOT_INITIALIZED:
        return FORKED
    if code != 0:
        return f"the NVIDIA driver does not start ({_error_name(cuda, code)})"
    _started.add(os.getpid())
    return None


def _device(cuda: ctypes.CDLL, index: int) -> Device:
    handle = ctypes.c_int()
    major, minor, processors = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    memory, name = ctypes.c_size_t(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(handle), index)
    cuda.cuDeviceGetName(name, len(name), handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
    cuda.cuDeviceGetAttribute(ctypes.byref(processors), _PROCESSORS, handle)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    capability = f"{major.value}.{minor.value}"
    return Device(name.value.decode(), capability, memory.value, processors.value)


def _error_name(cuda: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(code, ctypes.byref(name))
    return name.value.decode() if name.value else f"error {code}"
