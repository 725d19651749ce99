"""Cameras and streams decoded by OpenCV: pipelines of GStreamer, and where PyAV is not there.

OpenCV tells neither damage nor time stamps, and shows pictures whose size changes in the first
one's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.once import warn_once
from edgecount.runtime.sources.opencv import OpenCVClip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.runtime.sources.live.options import LiveOptions

_log = logging.getLogger(__name__)

_CSI = re.compile(r"csi://(\d{1,2})/?(?:\?size=(\d+)x(\d+))?", re.IGNORECASE)
# The newest picture only: OpenCV asks for them when it is free.
_SINK = "appsink drop=true max-buffers=1 sync=false"


class LiveOpenCVClip(OpenCVClip):
    """An open camera or stream, whose time stamps are none that one can rely on.

    Attributes:
        is_finite: whether it has an end: then it is a file, over the network.
    """

    def __init__(self, source: str | int, name: str, settings: Sequence[Any] = ()) -> None:
        super().__init__(source, name, settings)
        is_download = isinstance(source, str) and source.startswith(("http:", "https:"))
        self.is_finite = is_download and self.length is not None

    def pictures(  # type: ignore[override]
        self,
    ) -> Iterator[tuple[NDArray[np.uint8], int, float | None]]:
        """Yield the pictures as they come, those of a camera without times."""
        for image, number, seconds in super().pictures():
            yield image, number, seconds if self.is_finite else None

    def fault(self) -> str:
        """Say what was wrong; of a camera nothing can be told but that no picture came."""
        if self.is_finite:
            return super().fault()
        return "" if self.given else f"{self._name} gave no picture that can be decoded"


def open_stream(address: str, name: str, options: LiveOptions, why: str) -> OpenCVClip:
    """Open a network stream.

    Args:
        address: its address.
        name: how it is called in messages.
        options: of these the time-outs.
        why: the reason why not PyAV, for the log.

    Raises:
        SourceError: it cannot be opened.
    """
    cv2 = load_cv2()
    # OpenCV's own limit is half a minute.
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * options.open_timeout)]
    limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * options.stall_timeout)]
    settings = (cv2.CAP_FFMPEG, limits)
    try:
        clip = LiveOpenCVClip(address, name, settings)
    except SourceError:
        raise SourceError(
            f"cannot open the stream {name}: is the address right, and is it there?"
        ) from None
    warn_once(
        _log,
        f"{name} is decoded by OpenCV, which tells neither damaged frames nor delays and changes "
        f"of size, and may show interlaced ones wrongly: {why}",
    )
    return clip


def open_camera(camera: str | int, name: str) -> OpenCVClip:
    """Open a camera of this machine by its number or device."""
    return LiveOpenCVClip(camera, name)


def csi_pipeline(address: str) -> str:
    """Return the pipeline of a camera on a Jetson's CSI connector: csi://0?size=1280x720.

    Raises:
        SourceError: it is no such address.
    """
    match = _CSI.fullmatch(address)
    if match is None:
        raise SourceError(f"expected csi://N or csi://N?size=WIDTHxHEIGHT, got {address}")
    sensor, width, height = match[1], match[2] or "1280", match[3] or "720"
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width={width}, height={height} ! "
        f"nvvidconv ! video/x-raw, format=BGRx ! videoconvert ! video/x-raw, format=BGR ! {_SINK}"
    )


def open_pipeline(pipeline: str, name: str) -> OpenCVClip:
    """Open a pipeline of GStreamer, which ends in an appsink of BGR pictures or gets one.

    Raises:
        PermanentError: this OpenCV has no GStreamer.
        SourceError: it cannot be opened.
    """
    cv2 = load_cv2()
    if not _has_gstreamer(cv2):
        raise PermanentError(
            f"cannot open {name}: this OpenCV has no GStreamer. The wheels of opencv-python have "
            "none; JetPack's and Debian's python3-opencv have it"
        )
    if "appsink" not in pipeline:
        pipeline += f" ! videoconvert ! video/x-raw, format=BGR ! {_SINK}"
    try:
        return LiveOpenCVClip(pipeline, name, (cv2.CAP_GSTREAMER,))
    except SourceError:
        raise SourceError(
            f"cannot open {name}: is the camera connected, and the pipeline right? "
            "Try it with gst-launch-1.0"
        ) from None


def _has_gstreamer(cv2: Any) -> bool:
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))
