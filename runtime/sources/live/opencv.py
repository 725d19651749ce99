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
from edgecount.runtime.frames.images import as_bgr
from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.frames.pixel_formats import NV12Frame
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.live.jetson import SINK
from edgecount.runtime.sources.once import warn_once
from edgecount.runtime.sources.opencv import OpenCVClip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.runtime.sources.live.options import LiveOptions

_log = logging.getLogger(__name__)

_FORMAT = re.compile(r"\bformat\s*=\s*(?:\(string\)\s*)?\"?([A-Za-z0-9_]+)")
# Elements that give another format than they are given, of which GStreamer has dozens.
_CONVERTER = re.compile(r"conv|postproc|vpp|dec", re.IGNORECASE)
_REVERSED = {"RGB": 3, "RGBA": 4, "RGBX": 4}  # and their channels
_AS_THEY_ARE = ("", "BGR", "BGRA", "BGRX", "GRAY8")

# What every OpenCV with GStreamer takes; those of four channels only newer ones do, and none RGB
# (GStreamerCapture::open in cap_gstreamer.cpp).
_EVERYWHERE = ("", "BGR", "GRAY8", "NV12")
_BGR_END = "videoconvert ! video/x-raw, format=BGR ! appsink"

_TRY_IT = "is the camera connected, and the pipeline right? Try it with gst-launch-1.0"


class LiveOpenCVClip(OpenCVClip):
    """An open camera or stream, whose time stamps are none that one can rely on.

    Args:
        source: a path, an address, a camera's number or a pipeline.
        name: how it is called in messages.
        settings: a backend of OpenCV and a list of its properties, or nothing.
        pixels: GStreamer's name of a pipeline's last format, such as "NV12"; empty: not told.

    Attributes:
        is_finite: whether it has an end: then it is a file, over the network.
    """

    def __init__(
        self, source: str | int, name: str, settings: Sequence[Any] = (), pixels: str = ""
    ) -> None:
        super().__init__(source, name, settings)
        self._pixels = pixels.upper()
        self._height = int(self._property("FRAME_HEIGHT"))
        is_download = isinstance(source, str) and source.startswith(("http:", "https:"))
        self.is_finite = is_download and self.length is not None

    def pictures(  # type: ignore[override]
        self,
    ) -> Iterator[tuple[NDArray[np.uint8], int, float | None]]:
        """Yield the pictures as they come, those of a camera without times."""
        for image, number, seconds in super().pictures():
            yield image, number, seconds if self.is_finite else None

    def _picture(self, image: NDArray[Any]) -> Any:
        """Return a picture of a pipeline by its format, which OpenCV does not tell.

        Of a planar one it gives the planes one above the other, as a grey picture.
        """
        if self._pixels == "NV12" and image.ndim == 2:
            return NV12Frame.from_buffer(image)
        if self._pixels in _REVERSED and image.shape[2:] == (_REVERSED[self._pixels],):
            return as_bgr(image[:, :, 2::-1])
        is_planar = image.ndim == 2 and 2 * len(image) == 3 * self._height
        if is_planar or self._pixels not in _AS_THEY_ARE:
            raise PermanentError(
                f"{self._name}: expected pictures in BGR, RGB, GRAY8 or NV12 before the appsink, "
                f"got {self._pixels or 'another format'}: end the pipeline in  videoconvert ! "
                "video/x-raw, format=BGR ! appsink"
            )
        return as_bgr(image)

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


def open_pipeline(pipeline: str, name: str, advice: str = _TRY_IT) -> OpenCVClip:
    """Open a pipeline of GStreamer, which ends in an appsink or gets one of BGR pictures.

    Args:
        pipeline: its elements, " ! " between them.
        name: how it is called in messages.
        advice: what to look at if it does not open.

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
        pipeline += f" ! videoconvert ! video/x-raw, format=BGR ! {SINK}"
    pixels = _last_format(pipeline)
    try:
        return LiveOpenCVClip(pipeline, name, (cv2.CAP_GSTREAMER,), pixels)
    except SourceError:
        if pixels.upper() not in _EVERYWHERE:
            advice = f"this OpenCV may take no pictures in {pixels}: end it in  {_BGR_END}"
        raise SourceError(f"cannot open {name}: {advice}") from None


def _last_format(pipeline: str) -> str:
    """Return GStreamer's name of the format before the appsink; empty where it is not told.

    What a converter after it gives is agreed on with OpenCV, which asks for BGR first. Source:
    cap_gstreamer.cpp of OpenCV.
    """
    for element in reversed(pipeline.partition("appsink")[0].split("!")):
        if "video/x-raw" in element and "format" in element:
            told = _FORMAT.search(element)
            return told[1] if told else ""
        if _CONVERTER.search(element):
            return ""
    return ""


def _has_gstreamer(cv2: Any) -> bool:
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))
