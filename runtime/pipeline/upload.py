"""The upload of frames from the host's memory to a GPU, by way of pinned memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edgecount import _ext
from edgecount.runtime.frames.pixel_formats import frame_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.frames.checked import CheckedFrame


Copy: TypeAlias = "tuple[_ext.DeviceArray, NDArray[np.uint8]]"
"""Memory on the GPU, and the pinned memory to upload to it: both uint8 of one shape."""


class StagingBuffer:
    """Pinned memory and as much of the GPU, used by frames of all sizes in turn.

    It grows with them and never shrinks: frames that change their size take no new memory.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._buffers: tuple[_ext.PinnedBuffer, _ext.DeviceBuffer] | None = None

    def stage(self, frames: Sequence[CheckedFrame]) -> tuple[list[CheckedFrame], list[Copy]]:
        """Copy frames of one size and kind to pinned memory, but for those that lie on the GPU.

        The work on the frames before them must be done.

        Returns:
            The frames as they lie on the GPU once the copies are uploaded, and the copies.

        Raises:
            RuntimeError: there is no memory left.
        """
        if not any(frame.on_host for frame in frames):
            return list(frames), []
        width, height = frames[0].size
        shape = len(frames), *frame_shape(frames[0].format, height, width)
        on_host, on_gpu = self._reserve(math.prod(shape))
        pinned, targets = on_host.array(shape, "uint8"), on_gpu.array(shape, "uint8")
        staged, copies = list(frames), []
        for index, frame in enumerate(frames):
            if not frame.on_host:
                continue
            target, rows = targets[index], pinned[index]
            np.copyto(rows[:height], frame.pixels)  # type: ignore[arg-type]
            if frame.chroma is not None:
                np.copyto(rows[height:], frame.chroma)  # type: ignore[arg-type]
            chroma = None if frame.chroma is None else target[height:]
            staged[index] = frame._replace(pixels=target[:height], chroma=chroma)
            copies.append((target, rows))
        return staged, copies

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
