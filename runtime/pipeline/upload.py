"""The upload of frames from the host's memory to a GPU, by way of pinned memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import _ext
from edgecount.runtime.frames.checked import CheckedFrame

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StagedFrame:
    """A frame on its way to the GPU.

    Attributes:
        frame: the frame as it lies on the GPU once it is uploaded.
        pinned: its bytes in pinned memory, uint8 (H, W, 3) or, of NV12, (H * 3 / 2, W); None: it
            lies on the GPU already.
        target: memory of the same shape on the GPU.
    """

    frame: CheckedFrame
    pinned: NDArray[np.uint8] | None = None
    target: _ext.DeviceArray | None = None

    def upload(self, stream: _ext.Stream) -> CheckedFrame:
        """Queue the copy, and return the frame as it is after it."""
        if self.pinned is not None and self.target is not None:
            stream.upload(self.target, self.pinned)
        return self.frame


class StagingBuffer:
    """Pinned memory and as much of the GPU, used by frames of all sizes in turn.

    It grows with them and never shrinks: frames that change their size take no new memory.

    Args:
        device: number of the GPU.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._buffers: tuple[_ext.PinnedBuffer, _ext.DeviceBuffer] | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes, on the host and again on the GPU."""
        return 0 if self._buffers is None else self._buffers[0].nbytes

    def stage(self, frames: Sequence[CheckedFrame]) -> list[StagedFrame]:
        """Copy frames of one size and kind to pinned memory, but for those that lie on the GPU.

        The work on the frames before them must be done.

        Raises:
            RuntimeError: there is no memory left.
        """
        if not any(frame.on_host for frame in frames):
            return [StagedFrame(frame) for frame in frames]
        width, height = frames[0].size
        nv12 = frames[0].chroma is not None
        shape = len(frames), *((height * 3 // 2, width) if nv12 else (height, width, 3))
        on_host, on_gpu = self._reserve(math.prod(shape))
        pinned, targets = on_host.array(shape, "uint8"), on_gpu.array(shape, "uint8")
        return [
            _stage(frame, pinned[index], targets[index]) if frame.on_host else StagedFrame(frame)
            for index, frame in enumerate(frames)
        ]

    def close(self) -> None:
        """Free the memory."""
        self._buffers = None

    def _reserve(self, nbytes: int) -> tuple[_ext.PinnedBuffer, _ext.DeviceBuffer]:
        if self._buffers is None or self._buffers[0].nbytes < nbytes:
            # The old ones are freed first: both together may be more than there is.
            self._buffers = None
            pinned = _ext.PinnedBuffer(nbytes, self._device)
            self._buffers = pinned, _ext.DeviceBuffer(nbytes, self._device)
        return self._buffers


def _stage(frame: CheckedFrame, pinned: NDArray[np.uint8], target: _ext.DeviceArray) -> StagedFrame:
    pixels: Any = frame.pixels
    chroma: Any = frame.chroma
    height = frame.size[1]
    np.copyto(pinned[:height], pixels)
    if chroma is None:
        return StagedFrame(CheckedFrame(target), pinned, target)
    np.copyto(pinned[height:], chroma)
    return StagedFrame(CheckedFrame(target[:height], target[height:]), pinned, target)
