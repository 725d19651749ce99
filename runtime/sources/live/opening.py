"""How each kind of camera and stream is opened."""

from __future__ import annotations

import functools
import logging
import re
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.sources.faults import PermanentError
from edgecount.runtime.sources.urls import shown_url, stream_name

if TYPE_CHECKING:
    from edgecount.runtime.sources.live.attempt import OpenClip
    from edgecount.runtime.sources.live.options import LiveOptions

_log = logging.getLogger(__name__)

_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NO_PYAV = "PyAV is not installed (pip install av)"
_SLACK = 1.0  # s that FFmpeg has beyond our own time-outs, to end a read that was left behind
# Over UDP, which comes first otherwise, pictures break up wherever a packet is lost.
# What a camera sends is in its description, and need not be found out from seconds of pictures,
# which would be that old when they are handed on.
_RTSP_OPTIONS = {"rtsp_flags": "prefer_tcp", "probesize": "32", "analyzeduration": "0"}


def check(source: object) -> None:
    """Refuse what is neither an address nor the number of a camera."""
    numbered = isinstance(source, Integral) and not isinstance(source, bool)
    # OpenCV 5.0 ends the process at -1, and takes no number past 31 bits.
    if not isinstance(source, str) and not (numbered and 0 <= source < 2**31):  # type: ignore[operator]
        raise SourceError(f"expected a camera's number, 0 or more, or its device, got {source!r}")


def default_name(source: str | int) -> str:
    """Return the name of a source in results: without the secrets that its address may hold."""
    if not isinstance(source, str):
        return f"camera {int(source)}"
    return stream_name(source) if _URL.match(source) else shown_url(source)


def address_of(url: str) -> str:
    """Return an address as FFmpeg knows it, which has no protocol HTTP://."""
    scheme, mark, rest = url.strip().partition("://")
    return scheme.lower() + mark + rest


def opener(
    source: str | int,
    name: str,
    options: LiveOptions,
    *,
    accept_damaged: bool,
    max_pixels: int,
) -> OpenClip:
    """Return a function that opens a source; see `LiveSource`."""
    if isinstance(source, str) and _URL.match(source):
        address = address_of(source)
        return functools.partial(_open_stream, address, name, options, accept_damaged, max_pixels)
    return functools.partial(_open_camera, source, name)


def _open_stream(
    address: str, name: str, options: LiveOptions, accept_damaged: bool, max_pixels: int
) -> Any:
    try:
        from edgecount.runtime.sources import pyav
    except ImportError:
        return _open_stream_by_opencv(address, name, options)
    return pyav.PyAVClip(
        address,
        name,
        accept_damaged=accept_damaged,
        max_pixels=max_pixels,
        options=_RTSP_OPTIONS if address.startswith("rtsp") else {},
        timeout=(
            options.open_timeout + _SLACK,
            max(options.first_timeout, options.stall_timeout) + _SLACK,
        ),
    )


def _open_stream_by_opencv(address: str, name: str, options: LiveOptions) -> Any:
    from edgecount.runtime.sources.opencv import OpenCVClip

    cv2 = load_cv2()
    # OpenCV's own limit is half a minute.
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * options.open_timeout)]
    limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * options.stall_timeout)]
    try:
        clip = OpenCVClip(address, name, (cv2.CAP_FFMPEG, limits))
    except SourceError:
        raise SourceError(
            f"cannot open the stream {name}: is the address right, and is it there?"
        ) from None
    _log.warning(
        "%s is decoded by OpenCV, which does not tell damaged frames, and may show interlaced ones "
        "wrongly: %s",
        name,
        _NO_PYAV,
    )
    return clip


def _open_camera(camera: str | int, name: str) -> Any:
    from edgecount.runtime.sources.opencv import OpenCVClip

    text = (
        f"cannot open {name}: is it connected, not in use by another program, "
        "and are you in the group video?"
    )
    device = Path(camera if isinstance(camera, str) else f"/dev/video{camera}")
    if not device.exists():
        raise PermanentError(text)
    try:
        return OpenCVClip(camera, name)
    except SourceError:
        raise SourceError(text) from None
