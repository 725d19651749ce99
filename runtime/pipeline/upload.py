"""Memory by which frames of the host go to a GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import _ext
from edgecount.runtime.frames.picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Staged", "Staging"]


@dataclass(frozen=True, eq=False)
class Staged:
    """Pictures of one size and kind: those of the host in pinned memory, others as they are.

    Attributes:
        pictures: the others, and those of the host as they came.
        pinned: uint8 (B, ...) of the host; None where all pictures lie on the GPU.
        frames: room for the same on the GPU.
    """

    pictures: Sequence[Picture]
    pinned: NDArray[np.uint8] | None = None
    frames: _ext.DeviceArray | None = None

    def upload(self, stream: _ext.Stream) -> list[Picture]:
        """The pictures on the GPU, once the stream has done its work."""
        return [
            self._upload(picture, index, stream) if picture.on_host else picture
            for index, picture in enumerate(self.pictures)
        ]

    def _upload(self, picture: Picture, index: int, stream: _ext.Stream) -> Picture:
        assert self.pinned is not None and self.frames is not None  # noqa: S101, PT018 (for types)
        frame = self.frames[index]
        stream.upload(frame, self.pinned[index])
        if picture.chroma is None:
            return Picture(frame)
        height = picture.size[1]
        return Picture(frame[:height], frame[height:])


class Staging:
    """Pinned memory and as much of the GPU, used by pictures of all sizes in turn.

    It grows with them and never shrinks: frames that change their size take no new memory.

    Args:
        device: number of the GPU.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._buffers: tuple[_ext.PinnedBuffer, _ext.DeviceBuffer] | None = None

    @property
    def nbytes(self) -> int:
        """How much it is now, on the host and again on the GPU."""
        return 0 if self._buffers is None else self._buffers[0].nbytes

    def stage(self, pictures: Sequence[Picture]) -> Staged:
        """Copy pictures of one size and kind; those before must be done with.

        Raises:
            RuntimeError: there is no memory left.
        """
        if not any(picture.on_host for picture in pictures):
            return Staged(pictures)
        width, height = pictures[0].size
        nv12 = pictures[0].chroma is not None
        shape = len(pictures), *((height * 3 // 2, width) if nv12 else (height, width, 3))
        on_host, on_gpu = self._reserve(math.prod(shape))
        pinned, frames = on_host.array(shape, "uint8"), on_gpu.array(shape, "uint8")
        for picture, rows in zip(pictures, pinned, strict=True):
            if picture.on_host:
                _copy(picture, rows)
        return Staged(pictures, pinned, frames)

    def close(self) -> None:
        """Free the memory."""
        self._buffers = None

    def _reserve(self, nbytes: int) -> tuple[_ext.PinnedBuffer, _ext.DeviceBuffer]:
        if self._buffers is None or self._buffers[0].nbytes < nbytes:
            self._buffers = None  # first back, then anew: both together may be more than there is
            pinned = _ext.PinnedBuffer(nbytes, self._device)
            self._buffers = pinned, _ext.DeviceBuffer(nbytes, self._device)
        return self._buffers


def _copy(picture: Picture, rows: NDArray[np.uint8]) -> None:
    pixels: Any = picture.pixels
    chroma: Any = picture.chroma
    height = picture.size[1]
    np.copyto(rows[:height], pixels)
    if chroma is not None:
        np.copyto(rows[height:], chroma)
