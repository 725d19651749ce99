"""Memory on the GPU for decoded frames, used again when nobody holds a frame any more."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from edgecount.runtime.frames.pixel_formats import NV12Frame

if TYPE_CHECKING:
    from edgecount._ext import DeviceArray, DeviceBuffer, Stream

_MOST = 16  # buffers that wait to be used again


class FramePool:
    """A pool of frames' copies on a GPU.

    The decoder writes the next frames over those that it has given, so each is copied before.
    Taking and freeing memory for each copy would make the GPU wait.

    Args:
        device: number of the GPU.
    """

    def __init__(self, device: int) -> None:
        from edgecount import _ext

        self._device = device
        self._stream: Stream = _ext.Stream(device)
        # Without a lock: memory comes back where a frame is dropped, also from within the pool.
        self._free: deque[DeviceBuffer] = deque(maxlen=_MOST)

    def copy(self, frame: Any, matrix: str, *, full_range: bool) -> NV12Frame:
        """Copy a decoder's frame; the copy is done when this returns.

        Args:
            frame: uint8 (H * 3 / 2, W) on the GPU, by DLPack: NV12, luma above chroma.
            matrix: see `NV12Frame`, as for full_range.
            full_range: whether luma goes from 0 to 255.

        Raises:
            RuntimeError: the GPU failed, or has no memory left.
            TypeError, ValueError: it is no such frame.
        """
        from edgecount import _ext

        given = _ext.device_array(frame, self._stream)
        if given.dtype != "uint8" or len(given.shape) != 2 or given.shape[0] % 3:
            raise ValueError(
                f"expected a frame in 8-bit NV12, uint8 (H * 3 / 2, W), got {given.dtype} "
                f"{given.shape}"
            )
        buffer = self._take(given.nbytes)
        kept = buffer.array(given.shape, "uint8")
        self._stream.copy(kept, given)
        self._stream.synchronize()
        held = _Held(buffer)
        weakref.finalize(held, self._free.append, buffer).atexit = False
        height = given.shape[0] // 3 * 2
        return NV12Frame(_View(kept[:height], held), _View(kept[height:], held), matrix, full_range)

    def _take(self, nbytes: int) -> DeviceBuffer:
        from edgecount import _ext

        # Those of another size are of no use: a stream has one size, for hours.
        while self._free:
            try:
                buffer = self._free.pop()
            except IndexError:
                break
            if buffer.nbytes == nbytes:
                return buffer
        return _ext.DeviceBuffer(nbytes, self._device)


class _Held:
    """A frame's memory, held by its planes and by whoever reads them."""

    def __init__(self, buffer: DeviceBuffer) -> None:
        self._buffer = buffer


class _View:
    """A plane of a frame, by the CUDA array interface.

    Who takes it over holds this object, and with it the memory.
    """

    def __init__(self, array: DeviceArray, held: _Held) -> None:
        self._held = held
        self.shape = array.shape
        self.__cuda_array_interface__ = array.__cuda_array_interface__
