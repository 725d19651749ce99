"""Memory on a GPU that a producer is still writing to, as the frames of other libraries have it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext

CUDA = 2  # DLPack's number for it
LEGACY = 1  # the legacy default stream, as a handle


class Memory:
    """Rows of bytes on a GPU, which a stream brings there.

    Args:
        rows: uint8 (H, bytes of a row).
        stream: the stream of the library that makes the frame.
        pitch: bytes from one row to the next; None: as many as a row has.
    """

    def __init__(
        self, rows: NDArray[np.uint8], stream: _ext.Stream, pitch: int | None = None
    ) -> None:
        height, width = rows.shape
        self.pitch = pitch or width
        self._pinned = _ext.PinnedBuffer(height * self.pitch, stream.device)
        source = self._pinned.array((height, self.pitch), "uint8")
        source[:, :width] = rows
        buffer = _ext.DeviceBuffer(height * self.pitch, stream.device)
        self.whole = buffer.array((height, self.pitch), "uint8")
        self.stream = stream
        stream.upload(self.whole, source)

    @property
    def ptr(self) -> int:
        return self.whole.ptr


def view(memory: Memory, shape: Sequence[int], offset: int = 0) -> _ext.DeviceArray:
    """Return rows of a memory as an array (H, W) or (H, W, C), whose capsules others can give."""
    return _ext.device_array(_Rows(memory, shape, offset), memory.stream)


class _Rows:
    def __init__(self, memory: Memory, shape: Sequence[int], offset: int) -> None:
        self._memory = memory
        inner = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(1, len(shape)))
        self.__cuda_array_interface__ = {
            "shape": tuple(shape),
            "typestr": "|u1",
            "data": (memory.ptr + offset, False),
            "strides": (memory.pitch, *inner),
            "version": 3,
        }


def hand_over(memory: Memory, stream: int) -> None:
    """Let a consumer's stream wait for what the producer has queued, as torch and CuPy do."""
    if stream in (-1, memory.stream.handle):
        return
    made = _ext.Event(memory.stream.device)
    made.record(memory.stream)
    _ext.Stream(memory.stream.device, handle=stream).wait(made)


def current_device(driver: ctypes.CDLL) -> int:
    """Return the device that is current on this thread; the first where none has been made so."""
    device = ctypes.c_int()
    return device.value if driver.cuCtxGetDevice(ctypes.byref(device)) == 0 else 0
