"""The intake of callers' frames: checked, and on a GPU taken over from their library."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.frames.checked import (
    CheckedFrame,
    check_gpu_frame,
    check_host_frame,
)
from edgecount.runtime.frames.images import lies_on_gpu
from edgecount.runtime.frames.pixel_formats import planes_of

if TYPE_CHECKING:
    from edgecount._ext import Stream


class FrameIntake:
    """The intake of callers' frames, which several threads may use at once.

    Frames on a GPU stay where they are. torch and CuPy hand an array over after the work in the
    stream that is current in the thread that asks for it. Only where an array comes from, such as
    in the thread that reads a caller's generator, and as soon as it comes, is that the stream in
    which it is made. The runner that counts it may run in another thread and is not known yet. So
    each thread has a stream of its own here, in which nothing is done but to wait for these
    libraries, and an event in it tells the runner from when on it may read the frame.

    Args:
        device: number of the GPU that counts the frames; None: the CPU does.
    """

    def __init__(self, device: int | None) -> None:
        self._device = device
        self._of_thread = threading.local()

    def take(self, frame: Any) -> CheckedFrame:
        """Check a caller's frame and take it over; the host waits for nothing.

        Raises:
            InputError: it cannot be counted.
            BackendError: the GPU failed.
        """
        if self._device is None or not any(lies_on_gpu(plane) for plane in planes_of(frame)):
            return check_host_frame(frame)
        from edgecount import _ext

        with gpu_failures():
            stream: Stream | None = getattr(self._of_thread, "stream", None)
            if stream is None:
                stream = self._of_thread.stream = _ext.Stream(self._device, inner=True)
            checked = check_gpu_frame(frame, stream)
            ready = _ext.Event(self._device)
            ready.record(stream)
        return checked._replace(ready=ready)
