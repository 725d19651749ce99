"""The yardsticks of the GPU benchmarks: copies and empty kernels.

They are asked of the driver itself, so that no other CUDA package is needed.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from extension import EMULATED, _ext
from timing import gpu_us, graph_us, host_us, record

_L2_CACHE_SIZE = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
_NOTHING = b".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry nothing() { ret; }\n"


class Driver:
    """The calls of the CUDA driver that the yardsticks need, in the GPU's primary context.

    In the emulation device memory is the host's, and nothing is launched.
    """

    def __init__(self) -> None:
        self.cache_bytes = 4096  # size of the L2 cache
        if EMULATED:
            return
        self._cuda = ctypes.CDLL("libcuda.so.1")
        device, size = ctypes.c_int(), ctypes.c_int()
        context, module, self._nothing = (ctypes.c_void_p() for _ in range(3))
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._call("cuModuleLoadData", ctypes.byref(module), _NOTHING)
        self._call("cuModuleGetFunction", ctypes.byref(self._nothing), module, b"nothing")
        self._call("cuDeviceGetAttribute", ctypes.byref(size), _L2_CACHE_SIZE, device)
        self.cache_bytes = size.value

    def copy(self, target: _ext.DeviceArray, source: _ext.DeviceArray, stream: _ext.Stream) -> None:
        """Copy an array on the device to another."""
        if EMULATED:
            ctypes.memmove(target.ptr, source.ptr, source.nbytes)
            return
        places = ctypes.c_uint64(target.ptr), ctypes.c_uint64(source.ptr)
        size, handle = ctypes.c_size_t(source.nbytes), ctypes.c_void_p(stream.handle)
        self._call("cuMemcpyDtoDAsync_v2", *places, size, handle)

    def empty_kernel(self, stream: _ext.Stream) -> Callable[[], object]:
        """Return a call that launches a kernel of one thread that does nothing."""
        if EMULATED:
            return lambda: None
        # A call that keeps the GIL, with arguments that are made once: what Python adds to a launch
        # would make a yardstick that is easy to beat.
        grid = [ctypes.c_uint(size) for size in (1, 1, 1, 1, 1, 1, 0)]
        arguments = (self._nothing, *grid, ctypes.c_void_p(stream.handle), None, None)
        self._call("cuLaunchKernel", *arguments)
        return functools.partial(ctypes.PyDLL("libcuda.so.1").cuLaunchKernel, *arguments)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if code:
            raise RuntimeError(f"{name} failed with error {code}")


@functools.cache
def driver() -> Driver:
    """Return the driver of the GPU that is measured."""
    return Driver()


def copy_rates(stream: _ext.Stream, batch: int) -> dict[str, float]:
    """Measure the gigabytes per second of copies, in the way in which counting is measured.

    On the device each byte is read and written, and counts twice. Copies are recorded one after
    the other as a CUDA graph, between buffers that are together larger than the L2 cache. `batch`
    is the bytes of a batch of the goals' maps; a copy of half of it moves as many.
    """
    free, _ = _ext.device_memory()
    large = 2**16 if EMULATED else min(max(16 * driver().cache_bytes, 2**28), free // 4)
    us, batch_us = (_copies_us(stream, size) for size in (large, batch // 2))
    back = min(large, 2**26)
    source = _ext.DeviceBuffer(back).array((back,), "uint8")
    target = _ext.PinnedBuffer(back).array((back,), "uint8")
    back_us = gpu_us(lambda _: stream.download(source, target), stream)
    return {
        "bytes": large,
        "us": us,
        "gigabytes_per_second": 2 * large / us / 1e3,
        "batch_bytes": batch // 2,
        "batch_us": batch_us,
        "batch_gigabytes_per_second": 2 * (batch // 2) / batch_us / 1e3,
        "back_gigabytes_per_second": back / back_us / 1e3,
    }


def _copies_us(stream: _ext.Stream, size: int) -> float:
    number = max(1, -(-2 * driver().cache_bytes // size))
    pairs = [
        [_ext.DeviceBuffer(size).array((size,), "uint8") for _ in range(2)] for _ in range(number)
    ]
    return graph_us(lambda i: driver().copy(*pairs[i % number], stream), stream, number)


def launch_costs(stream: _ext.Stream) -> dict[str, float]:
    """Measure the microseconds of empty kernels: in a row, in a graph, and waited for.

    Three in a row, waited for once, are the yardstick for one map: two kernels and a copy.
    """
    launch = driver().empty_kernel(stream)

    def wait_for(launches: int) -> None:
        for _ in range(launches):
            launch()
        stream.synchronize()

    graph = record(lambda _: launch(), stream, 3)
    return {
        "empty_us": gpu_us(lambda _: launch(), stream),
        "empty_in_graph_us": graph_us(lambda _: launch(), stream, 64),
        "empty_waited_us": host_us(lambda: wait_for(1)),
        "three_empty_waited_us": host_us(lambda: wait_for(3)),
        "three_empty_graph_waited_us": host_us(
            lambda: (graph.launch(stream), stream.synchronize())
        ),
    }
