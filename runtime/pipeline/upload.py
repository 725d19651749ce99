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

__all__ = ["StagedFrames", "StagingBuffer"]


@dataclass(frozen=True, eq=False)
class StagedFrames:
    """Frames of one size and kind, those of the host copied to pinned memory.

    Attributes:
        frames: the frames as they came.
        pinned: uint8 (B, H, W, 3), or (B, H * 3 / 2, W) of NV12, in pinned memory; rows of frames
            that lie on the GPU are not filled. None where all of them lie there.
        on_gpu: memory of the same shape on the GPU; None where all frames lie there.
    """

    frames: Sequence[CheckedFrame]
    pinned: NDArray[np.uint8] | None = None
    on_gpu: _ext.DeviceArray | None = None

    def upload(self, stream: _ext.Stream) -> list[CheckedFrame]:
        """Queue the copies, and return the frames as they lie on the GPU once these are done."""
        return [
            self._upload(frame, index, stream) if frame.on_host else frame
            for index, frame in enumerate(self.frames)
        ]

    def _upload(self, frame: CheckedFrame, index: int, stream: _ext.Stream) -> CheckedFrame:
        assert self.pinned is not None and self.on_gpu is not None  # noqa: S101, PT018 (for types)
        rows = self.on_gpu[index]
        stream.upload(rows, self.pinned[index])
        if frame.chroma is None:
            return CheckedFrame(rows)
        height = frame.size[1]
        return CheckedFrame(rows[:height], rows[height:])


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

    def stage(self, frames: Sequence[CheckedFrame]) -> StagedFrames:
        """Copy frames of one size and kind; the work on those before them must be done.

        Raises:
            RuntimeError: there is no memory left.
        """
        if not any(frame.on_host for frame in frames):
            return StagedFrames(frames)
        width, height = frames[0].size
        nv12 = frames[0].chroma is not None
        shape = len(frames), *((height * 3 // 2, width) if nv12 else (height, width, 3))
        on_host, on_gpu = self._reserve(math.prod(shape))
        pinned = on_host.array(shape, "uint8")
        for frame, rows in zip(frames, pinned, strict=True):
            if frame.on_host:
                _copy(frame, rows)
        return StagedFrames(frames, pinned, on_gpu.array(shape, "uint8"))

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


def _copy(frame: CheckedFrame, rows: NDArray[np.uint8]) -> None:
    pixels: Any = frame.pixels
    chroma: Any = frame.chroma
    height = frame.size[1]
    np.copyto(rows[:height], pixels)
    if chroma is not None:
        np.copyto(rows[height:], chroma)
