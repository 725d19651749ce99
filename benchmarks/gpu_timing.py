"""Times on a GPU, and the two yardsticks for them: a copy and an empty kernel.

Both yardsticks are asked of the driver itself, so that no other CUDA package is needed.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpu_extension import EMULATED, _ext

if TYPE_CHECKING:
    from edgecount._ext import DeviceArray, Graph, Stream

ROUNDS = 3 if EMULATED else 9
_ROUND_US = 1.0 if EMULATED else 5000.0  # of stream time that one round takes at least
_L2_CACHE_SIZE = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
_NOTHING = b".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry nothing() { ret; }\n"


class Driver:
    """The calls of the CUDA driver that the benchmarks need, in the device's primary context.

    Args:
        device: number of the GPU.
    """

    def __init__(self, device: int = 0) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(self._device), device)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self._call("cuCtxSetCurrent", context)
        module, self._nothing = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), _NOTHING)
        self._call("cuModuleGetFunction", ctypes.byref(self._nothing), module, b"nothing")
        # Typed, or plain numbers would fill half of an argument that is a pointer.
        self._launch = self._cuda.cuLaunchKernel
        self._launch.argtypes = [ctypes.c_void_p, *[ctypes.c_uint] * 7, *[ctypes.c_void_p] * 3]

    @property
    def cache_bytes(self) -> int:
        """Size of the L2 cache."""
        found = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(found), _L2_CACHE_SIZE, self._device)
        return found.value

    def copy(self, target: DeviceArray, source: DeviceArray, stream: Stream) -> None:
        """Copy an array on the device to another."""
        places = ctypes.c_uint64(target.ptr), ctypes.c_uint64(source.ptr)
        size, handle = ctypes.c_size_t(source.nbytes), ctypes.c_void_p(stream.handle)
        self._call("cuMemcpyDtoDAsync_v2", *places, size, handle)

    def launch_nothing(self, stream: Stream) -> None:
        """Launch a kernel of one thread that does nothing."""
        code = self._launch(self._nothing, 1, 1, 1, 1, 1, 1, 0, stream.handle, None, None)
        if code:
            raise RuntimeError(f"cuLaunchKernel failed with error {code}")

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if code:
            raise RuntimeError(f"{name} failed with error {code}")


class EmulatedDriver:
    """The same where device memory is the host's."""

    cache_bytes = 4096

    def copy(self, target: DeviceArray, source: DeviceArray, stream: Stream) -> None:
        """See `Driver.copy`."""
        stream.synchronize()
        ctypes.memmove(target.ptr, source.ptr, source.nbytes)

    def launch_nothing(self, stream: Stream) -> None:
        """Nothing is launched."""
        del stream


def open_driver() -> Driver | EmulatedDriver:
    """The driver of the GPU that is measured."""
    return EmulatedDriver() if EMULATED else Driver()


def busy_us(work: Callable[[int], None], stream: Stream) -> float:
    """Microseconds that one call keeps the stream busy, when many follow each other.

    Args:
        work: puts its work into the stream; it is told the number of the call.
        stream: the stream.
    """
    work(0)
    stream.synchronize()
    times = 1
    while (one := _round(work, stream, times)) * times < _ROUND_US and times < 2**14:
        times = min(max(2 * times, math.ceil(1.2 * _ROUND_US / max(one, 0.1))), 2**14)
    return statistics.median(_round(work, stream, times) for _ in range(ROUNDS))


def _round(work: Callable[[int], None], stream: Stream, times: int) -> float:
    begin, end = _ext.Event(timing=True), _ext.Event(timing=True)
    begin.record(stream)
    for index in range(times):
        work(index)
    end.record(stream)
    end.synchronize()
    return begin.elapsed_ms(end) * 1000 / times


def recorded_us(work: Callable[[int], None], stream: Stream, calls: int) -> float:
    """As `busy_us`, without the host's share: so many calls are recorded and run as one graph."""
    graph = record(work, stream, calls)
    return busy_us(lambda _: graph.launch(stream), stream) / calls


def record(work: Callable[[int], None], stream: Stream, calls: int = 1) -> Graph:
    """So many calls as one graph."""
    work(0)
    stream.synchronize()
    stream.begin_capture()
    try:
        for index in range(calls):
            work(index)
    finally:
        graph = stream.end_capture()
    return graph


def waited_us(work: Callable[[], object], wait: Callable[[], object] | None = None) -> float:
    """Microseconds from the start of a call until its work is done, on the host's clock."""
    warmup, most = (1, 3) if EMULATED else (20, 200)
    times: list[float] = []
    for index in range(warmup + most):
        start = time.perf_counter()
        work()
        if wait:
            wait()
        times.append((time.perf_counter() - start) * 1e6)
        # What takes long needs neither to be warmed up so often nor to be measured so often.
        if index >= 5 and sum(times) > 5e5:
            break
    return statistics.median(times[min(warmup, len(times) // 3) :])


def copy_rate(driver: Driver | EmulatedDriver, stream: Stream) -> dict[str, float]:
    """Bytes per second of the largest copies, each byte read and written counted once."""
    free, _ = _ext.device_memory()
    size = 2**16 if EMULATED else min(max(16 * driver.cache_bytes, 2**28), free // 4)
    source, target = (_ext.DeviceBuffer(size).array((size,), "uint8") for _ in range(2))
    us = busy_us(lambda _: driver.copy(target, source, stream), stream)
    return {"bytes": size, "us": us, "gigabytes_per_second": 2 * size / us / 1e3}


def launch_costs(driver: Driver | EmulatedDriver, stream: Stream) -> dict[str, float]:
    """Microseconds of a kernel that does nothing: in a row, in a graph, and waited for."""

    def nothing(_: int = 0) -> None:
        driver.launch_nothing(stream)

    return {
        "empty_us": busy_us(nothing, stream),
        "empty_in_graph_us": recorded_us(nothing, stream, 64),
        "empty_waited_us": waited_us(nothing, stream.synchronize),
    }
