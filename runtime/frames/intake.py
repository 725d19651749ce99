"""Takes frames over from the libraries that made them, in the thread that has them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from edgecount.runtime.cuda.errors import gpu_failures
from edgecount.runtime.frames.images import lies_on_gpu
from edgecount.runtime.frames.picture import NV12Frame, Picture, device_picture, host_picture

if TYPE_CHECKING:
    from edgecount._ext import Stream

__all__ = ["HandOver"]


class HandOver:
    """Takes callers' frames; those on a GPU stay where they are. For several threads at once.

    torch and CuPy hand an array over after the work in the stream that is current in the thread
    that asks. That is the stream in which the array is made only where it comes from, such as in
    the thread that reads a caller's generator, and as soon as it comes. The lane that counts it
    may run in another thread, and is not known yet: so each thread has a stream of its own here,
    in which nothing is done but to wait for those libraries.

    Args:
        device: number of the GPU; None: what counts the frames runs on the CPU.
    """

    def __init__(self, device: int | None) -> None:
        self._device = device
        self._of_thread = threading.local()

    def take(self, frame: Any) -> Picture:
        """A caller's frame, checked; waits for nothing on the host.

        Raises:
            InputError: it cannot be counted.
            BackendError: the GPU failed.
        """
        planes = (frame.luma, frame.chroma) if isinstance(frame, NV12Frame) else (frame,)
        if self._device is None or not any(lies_on_gpu(plane) for plane in planes):
            return host_picture(frame)
        from edgecount import _ext

        with gpu_failures():
            stream = self._stream(self._device)
            picture = device_picture(frame, stream)
            ready = _ext.Event(self._device)
            ready.record(stream)
        return picture._replace(ready=ready)

    def _stream(self, device: int) -> Stream:
        from edgecount import _ext

        stream: Stream | None = getattr(self._of_thread, "stream", None)
        if stream is None:
            stream = self._of_thread.stream = _ext.Stream(device, inner=True)
        return stream
