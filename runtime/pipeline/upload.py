"""The way of frames from the host's memory to a GPU and back, through pinned memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edgecount import _ext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.frames.checked import CheckedFrame


Copy: TypeAlias = "tuple[_ext.DeviceArray, NDArray[np.uint8]]"
"""Memory on the GPU, and the pinned memory to upload to it: both uint8 of one shape."""


_ALIGNMENT = 256  # of a frame, in bytes: kernels read four pixels at a time where they can


class StagingBuffer:
    """Pinned memory and, for uploads, as much of the GPU, used by frames of all sizes in turn.

    It grows with them and never shrinks: frames that change their size take no new memory.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._shares_memory = _ext.shares_memory(device)
        self._pinned: _ext.PinnedBuffer | None = None
        self._on_gpu: _ext.DeviceBuffer | None = None

    def stage(
        self, frames: Sequence[CheckedFrame], *, read_once: bool
    ) -> tuple[list[CheckedFrame], list[Copy]]:
        """Copy frames of one size and kind to pinned memory, but for those that lie on the GPU.

        The work on the frames before them must be done.

        Args:
            frames: the frames.
            read_once: whether the GPU reads each byte once. A GPU that shares the CPU's memory then
                reads it where it lies. It does not cache pinned memory (NVIDIA, CUDA for Tegra,
                "Memory Selection"), so that what is read more often is copied for it.

        Returns:
            The frames as they lie on the GPU once the copies are uploaded, and the copies.

        Raises:
            RuntimeError: there is no memory left.
        """
        if not any(frame.on_host for frame in frames):
            return list(frames), []
        in_place = read_once and self._shares_memory
        size = sum(plane.nbytes for plane in _planes(frames[0]))
        room = -(-size // _ALIGNMENT) * _ALIGNMENT
        pinned = self._reserve_pinned(room * len(frames))
        on_gpu = None if in_place else self._reserve_on_gpu(room * len(frames))
        staged, copies = list(frames), []
        for index, frame in enumerate(frames):
            if not frame.on_host:
                continue
            offset = index * room
            targets = _place(pinned.array, frame, offset)
            for target, plane in zip(targets, _planes(frame), strict=True):
                np.copyto(target, plane)
            make = pinned.device_array if on_gpu is None else on_gpu.array
            staged[index] = _with_planes(frame, _place(make, frame, offset))
            if on_gpu is not None:
                part = (size,), "uint8", offset
                copies.append((on_gpu.array(*part), pinned.array(*part)))
        return staged, copies

    def download(self, frame: CheckedFrame, stream: _ext.Stream) -> CheckedFrame:
        """Copy a frame on the GPU to pinned memory, and wait for it.

        Args:
            frame: the frame; one in the host's memory is returned as it is.
            stream: the stream to copy in, in which the frame is ready.

        Returns:
            The frame in the host's memory, until the next frame is staged or downloaded.

        Raises:
            RuntimeError: there is no memory left.
        """
        if frame.on_host:
            return frame
        pinned = self._reserve_pinned(sum(plane.nbytes for plane in _planes(frame)))
        targets = _place(pinned.array, frame, 0)
        for plane, target in zip(_planes(frame), targets, strict=True):
            stream.download(plane, target)
        stream.synchronize()
        return _with_planes(frame, targets)

    def close(self) -> None:
        """Free the memory."""
        self._pinned = self._on_gpu = None

    def _reserve_pinned(self, nbytes: int) -> _ext.PinnedBuffer:
        if self._pinned is None or self._pinned.nbytes < nbytes:
            # The old one is freed first: both together may be more than there is.
            self._pinned = None
            self._pinned = _ext.PinnedBuffer(nbytes, self._device)
        return self._pinned

    def _reserve_on_gpu(self, nbytes: int) -> _ext.DeviceBuffer:
        if self._on_gpu is None or self._on_gpu.nbytes < nbytes:
            self._on_gpu = None
            self._on_gpu = _ext.DeviceBuffer(nbytes, self._device)
        return self._on_gpu


def _planes(frame: CheckedFrame) -> list[Any]:
    """Return the pixels and, of NV12, the chroma."""
    return [frame.pixels] if frame.chroma is None else [frame.pixels, frame.chroma]


def _place(array: Any, frame: CheckedFrame, offset: int) -> list[Any]:
    """Return an array for each plane of a frame, side by side.

    Args:
        array: makes an array of a shape and dtype at an offset in bytes, as buffers do.
        frame: the frame.
        offset: where the first plane begins, in bytes.
    """
    placed = []
    for plane in _planes(frame):
        placed.append(array(plane.shape, "uint8", offset))
        offset += plane.nbytes
    return placed


def _with_planes(frame: CheckedFrame, planes: Sequence[Any]) -> CheckedFrame:
    """Return a frame like another one, whose planes lie elsewhere and may be read at once."""
    pixels, chroma = [*planes, None][:2]
    return frame._replace(pixels=pixels, chroma=chroma, ready=None)
