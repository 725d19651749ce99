"""The intake of callers' frames: checked, and on a GPU taken over from their library."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from edgecount.errors import InputError
from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.frames.checked import (
    CheckedFrame,
    check_gpu_frame,
    check_host_frame,
)
from edgecount.runtime.frames.images import device_of, lies_on_gpu
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
        devices: numbers of the GPUs that count frames; none: the CPU does.
    """

    def __init__(self, *devices: int) -> None:
        self._devices = devices
        self._of_thread = threading.local()

    def take(self, frame: Any) -> CheckedFrame:
        """Check a caller's frame and take it over; the host waits for nothing.

        Raises:
            InputError: it cannot be counted.
            BackendError: the GPU failed.
        """
        planes = [plane for plane in planes_of(frame) if lies_on_gpu(plane)]
        if not self._devices or not planes:
            return check_host_frame(frame)
        from edgecount import _ext

        with gpu_failures():
            stream = self._stream(self._choose(planes[0]))
            checked = check_gpu_frame(frame, stream)
            ready = _ext.Event(stream.device)
            ready.record(stream)
        return checked._replace(ready=ready)

    def gpu_for(self, frame: CheckedFrame) -> int | None:
        """Return the number of the GPU that has to count a frame; None: any of them, or the CPU."""
        return frame.device if len(self._devices) > 1 else None

    def _choose(self, plane: Any) -> int:
        """Return the GPU that a frame lies on, of those that count."""
        if len(self._devices) == 1:
            return self._devices[0]  # where taking it over finds out whether it lies there
        device = device_of(plane)
        if device not in self._devices:
            raise InputError(
                f"a frame on the GPU ({type(plane).__name__}) lies on CUDA device {device}, and "
                f"the counter uses {', '.join(map(str, self._devices))}: name that one as well "
                "(EdgeCounter(device=...)), or move the frame"
            )
        return device

    def _stream(self, device: int) -> Stream:
        from edgecount import _ext

        streams: dict[int, Stream] | None = getattr(self._of_thread, "streams", None)
        if streams is None:
            streams = self._of_thread.streams = {}
        if device not in streams:
            streams[device] = _ext.Stream(device, inner=True)
        return streams[device]
