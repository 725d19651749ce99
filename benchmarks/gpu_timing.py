"""Times on a GPU, and the yardsticks for them: copies and empty kernels.

The yardsticks are asked of the driver itself, so that no other CUDA package is needed.
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
        # By a call that keeps the GIL and with arguments that are made once: what Python adds to a
        # launch would make a yardstick that is easy to beat.
        self._launch = ctypes.PyDLL("libcuda.so.1").cuLaunchKernel
        self._grid = [ctypes.c_uint(size) for size in (1, 1, 1, 1, 1, 1, 0)]
        self._streams: dict[int, ctypes.c_void_p] = {}

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
        handle = self._streams.get(stream.handle)
        if handle is None:
            handle = self._streams[stream.handle] = ctypes.c_void_p(stream.handle)
        code = self._launch(self._nothing, *self._grid, handle, None, None)
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
        """See `Driver.copy`; at once, so that what the stream has to do must be done."""
        del stream
        ctypes.memmove(target.ptr, source.ptr, source.nbytes)

    def launch_nothing(self, stream: Stream) -> None:
        """Nothing is launched."""
        del stream


def open_driver() -> Driver | EmulatedDriver:
    """The driver of the GPU that is measured."""
    return EmulatedDriver() if EMULATED else Driver()


def busy_us(work: Callable[[int], object], stream: Stream) -> float:
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


def _round(work: Callable[[int], object], stream: Stream, times: int) -> float:
    begin, end = _ext.Event(timing=True), _ext.Event(timing=True)
    begin.record(stream)
    for index in range(times):
        work(index)
    end.record(stream)
    end.synchronize()
    return begin.elapsed_ms(end) * 1000 / times


def recorded_us(work: Callable[[int], object], stream: Stream, calls: int) -> float:
    """As `busy_us`, without the host's share: so many calls are recorded and run as one graph."""
    graph = record(work, stream, calls)
    return busy_us(lambda _: graph.launch(stream), stream) / calls


def record(work: Callable[[int], object], stream: Stream, calls: int = 1) -> Graph:
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


def copy_rates(driver: Driver | EmulatedDriver, stream: Stream, batch: int) -> dict[str, float]:
    """Gigabytes per second of copies, measured as the counting is.

    On the device each byte is read and written, and counts twice. Copies are recorded one after
    the other as a CUDA graph, between buffers that are together larger than the L2 cache.

    Args:
        driver: of the GPU.
        stream: in which.
        batch: bytes that a batch of the goals' maps has; a copy of half of it moves as many.
    """
    free, _ = _ext.device_memory()
    large = 2**16 if EMULATED else min(max(16 * driver.cache_bytes, 2**28), free // 4)
    us = _copies_us(driver, stream, large)
    batch_us = _copies_us(driver, stream, batch // 2)
    back = min(large, 2**26)
    source = _ext.DeviceBuffer(back).array((back,), "uint8")
    target = _ext.PinnedBuffer(back).array((back,), "uint8")
    back_us = busy_us(lambda _: stream.download(source, target), stream)
    return {
        "bytes": large,
        "us": us,
        "gigabytes_per_second": 2 * large / us / 1e3,
        "batch_bytes": batch // 2,
        "batch_us": batch_us,
        "batch_gigabytes_per_second": 2 * (batch // 2) / batch_us / 1e3,
        "back_gigabytes_per_second": back / back_us / 1e3,
    }


def _copies_us(driver: Driver | EmulatedDriver, stream: Stream, size: int) -> float:
    number = max(1, -(-2 * driver.cache_bytes // size))
    buffers = [_ext.DeviceBuffer(size).array((size,), "uint8") for _ in range(2 * number)]

    def copy(index: int) -> None:
        source = 2 * (index % number)
        driver.copy(buffers[source + 1], buffers[source], stream)

    return recorded_us(copy, stream, number)


def launch_costs(driver: Driver | EmulatedDriver, stream: Stream) -> dict[str, float]:
    """Microseconds of kernels that do nothing: in a row, in a graph, and waited for.

    Three in a row, and waited for once, are what one map is compared with: two kernels and a copy.
    """

    def nothing(_: int = 0) -> None:
        driver.launch_nothing(stream)

    def three() -> None:
        for _ in range(3):
            driver.launch_nothing(stream)

    graph, wait = record(nothing, stream, 3), stream.synchronize
    return {
        "empty_us": busy_us(nothing, stream),
        "empty_in_graph_us": recorded_us(nothing, stream, 64),
        "empty_waited_us": waited_us(nothing, wait),
        "three_empty_waited_us": waited_us(three, wait),
        "three_empty_graph_waited_us": waited_us(lambda: graph.launch(stream), wait),
    }
