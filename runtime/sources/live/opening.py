"""How each kind of camera and stream is opened."""

from __future__ import annotations

import functools
import logging
import re
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgecount._numbers import is_number
from edgecount.errors import ConfigError, SourceError
from edgecount.runtime.sources.faults import (
    NO_PYAV,
    NoDecoderError,
    PermanentError,
    SizeError,
    UnknownProtocolError,
)
from edgecount.runtime.sources.hardware import (
    BOARD,
    NVDEC,
    accelerators,
    check_hardware,
    split_hardware,
)
from edgecount.runtime.sources.live import jetson, opencv
from edgecount.runtime.sources.urls import shown_url, stream_name

if TYPE_CHECKING:
    from edgecount.runtime.sources.live.attempt import OpenClip
    from edgecount.runtime.sources.live.options import LiveOptions

_log = logging.getLogger(__name__)

_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_WITH_HOST = tuple(f"{kind}{end}://" for kind in ("rtsp", "http", "rtmp") for end in ("", "s"))
_PIPELINE = " ! "
_PASSWORD = re.compile(r"\b(user-id|user-pw|passphrase|password)=(\"[^\"]*\"|\S+)", re.IGNORECASE)
_SLACK = 1.0  # s that FFmpeg has beyond our own time-outs, to end a read that was left behind
# The rate is of no interest, and takes twenty pictures to be told.
_LIVE_OPTIONS = {"fpsprobesize": "0"}
# Over UDP, which comes first otherwise, pictures break up wherever a packet is lost.
_RTSP_OPTIONS = {"rtsp_flags": "prefer_tcp"}
# Pictures in the parts that they come in, which we join without waiting for the next picture; and
# without looking at some seconds of them first, which would be that old when they are handed on.
_IN_PARTS = {"fflags": "noparse+nofillin", "probesize": "32", "analyzeduration": "0"}
_JOINED = ("h264", "hevc", "mjpeg")
# Packets that came too fast are lost, and not the stream.
_UDP_OPTIONS = {"overrun_nonfatal": "1", "buffer_size": "4194304"}
# It says late whether there is sound, and FFmpeg waits for that.
_RTMP_OPTIONS = {"analyzeduration": "2000000"}
# HLS starts three segments before the end otherwise.
_HLS_OPTIONS = {"live_start_index": "-1"}
_SPECIAL_OPTIONS = {
    "rtsp": _RTSP_OPTIONS,
    "rtsps": _RTSP_OPTIONS,
    "rtmp": _RTMP_OPTIONS,
    "rtmps": _RTMP_OPTIONS,
    "udp": _UDP_OPTIONS,
}
_V4L2 = "v4l2"
_NO_SENSOR = (
    "is a camera connected to this connector, and its sensor set up (sudo "
    "/opt/nvidia/jetson-io/jetson-io.py)? Try  gst-launch-1.0 nvarguscamerasrc ! fakesink  and, if "
    "that hangs,  sudo systemctl restart nvargus-daemon"
)
_NO_STREAM = "is it there, and is this a Jetson with nvv4l2decoder (gst-inspect-1.0 nvv4l2decoder)?"


def check(source: Any, options: LiveOptions) -> None:
    """Refuse what is neither an address nor the number of a camera, and unknown hardware."""
    numbered = is_number(source, Integral)
    # OpenCV 5.0 ends the process at -1, and takes no number past 31 bits.
    if not isinstance(source, str) and not (numbered and 0 <= source < 2**31):
        raise SourceError(f"expected a camera's number, 0 or more, or its device, got {source!r}")
    hardware, address = split_hardware(source) if isinstance(source, str) else (None, "")
    if hardware is not None:
        raise SourceError(
            f"expected an address or a camera, got {hardware}:{default_name(address)}: here the "
            f'decoder is LiveOptions(hardware="{hardware}")'
        )
    if isinstance(source, str) and not _URL.match(source) and _PIPELINE not in source:
        path = Path(source)
        if path.exists() and not path.is_char_device():
            raise SourceError(
                f"expected an address or a camera, got the path {source}: files are for "
                "`EdgeCounter.stream` and `open_sources`, which need no `LiveSource`"
            )
    if isinstance(source, str) and _PIPELINE not in source and _URL.match(source):
        _check_address(source)
    check_hardware(options.hardware)
    named = options.hardware or ""
    if named.startswith((NVDEC, BOARD)) and not _is_decoded_there(source, named):
        raise ConfigError(
            f"hardware: expected none for {default_name(source)}, got {named!r}, which decodes "
            "addresses alone: cameras of this machine and pipelines have a decoder of their own"
        )


def _check_address(url: str) -> None:
    """Refuse an address that lacks the host, or has a port that there is not."""
    address = address_of(url)
    if not address.startswith(_WITH_HOST):
        return
    # A user and a password may have anything but / ? and # in them, as FFmpeg reads them.
    authority = re.split("[/?#]", address.partition("://")[2], maxsplit=1)[0]
    try:
        parts = urlsplit(f"//{authority.rpartition('@')[2]}")
        host, port = parts.hostname, parts.port
    except ValueError:  # not a number, past 65535, or a bracket without the other
        host, port = None, 0
    if host and port != 0:
        return
    path = re.sub("^[^/?#]*", "", address.partition("://")[2])
    hint = "; a / ? or # in a password is written %2F, %3F or %23" if "@" in path else ""
    raise SourceError(
        f"expected an address such as rtsp://HOST/... or rtsp://HOST:554/..., with a port of 1 to "
        f"65535 if any, got {stream_name(url)}{hint}"
    )


def _is_decoded_there(source: object, hardware: str) -> bool:
    """Return whether a source is an address of the network, and neither a camera nor a pipeline."""
    if not isinstance(source, str) or _PIPELINE in source or not _URL.match(source):
        return False
    # A camera of the board is its own matter, and may stand beside streams with the same options.
    return hardware == BOARD or not address_of(source).startswith("csi://")


def default_name(source: str | int) -> str:
    """Return the name of a source in results: without the secrets that its address may hold."""
    if not isinstance(source, str):
        return f"camera {int(source)}"
    if _PIPELINE in source:
        return _PASSWORD.sub(r"\1=***", shown_url(source))
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
    kind: dict[str, Any] = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
    if isinstance(source, str) and _PIPELINE in source:
        return functools.partial(opencv.open_pipeline, source, name)
    if isinstance(source, str) and _URL.match(source):
        address = address_of(source)
        if address.startswith("csi://"):
            pipeline = jetson.csi_pipeline(address)
            return functools.partial(opencv.open_pipeline, pipeline, name, _NO_SENSOR)
        if options.hardware == BOARD:
            return functools.partial(_open_on_board, address, name, options, kind, [])
        return functools.partial(_open_stream, address, name, options, kind, set())
    camera = source if isinstance(source, str) else int(source)
    return functools.partial(_open_camera, camera, name, options, kind)


def _open_stream(
    address: str, name: str, options: LiveOptions, kind: dict[str, Any], unjoinable: set[str]
) -> Any:
    """Open a stream; `unjoinable` remembers one whose packets tell no pictures apart."""
    try:
        from edgecount.runtime.sources.live.stream import LiveClip
    except ImportError:
        return opencv.open_stream(address, name, options, NO_PYAV)

    def open_with(protocol: dict[str, str]) -> LiveClip:
        return LiveClip(
            address,
            name,
            newest=options.newest,
            options=protocol,
            timeout=_limits(options),
            hardware=accelerators(options.hardware),
            **kind,
        )

    protocol = _protocol_options(address)
    try:
        if not address.startswith("rtsp") or address in unjoinable:
            return open_with(protocol)
        clip = open_with(protocol | _IN_PARTS)
        if clip.codec in _JOINED:
            clip.on_joining_error = lambda: unjoinable.add(address)
            return clip
        clip.close()
        return open_with(protocol)
    except UnknownProtocolError:
        # Its own FFmpeg may know one that PyAV's does not.
        why = f"PyAV's FFmpeg has no {address.partition(':')[0]}://"
        if (options.hardware or "").startswith(NVDEC):
            raise PermanentError(
                f"{name} cannot be decoded on NVDEC: {why}: leave hardware out, or relay it"
            ) from None
        try:
            return opencv.open_stream(address, name, options, why)
        except SourceError as error:
            raise PermanentError(f"{error}; {why}, and neither may OpenCV's") from None


def _open_on_board(
    address: str, name: str, options: LiveOptions, kind: dict[str, Any], codecs: list[str]
) -> Any:
    """Open a stream that a Jetson's decoder decodes; `codecs` remembers what it is coded in."""
    if not address.startswith("rtsp"):
        raise PermanentError(
            f'{name}: expected an address rtsp:// for hardware="{BOARD}"; of other sources write '
            "the pipeline of GStreamer as the source"
        )
    if not codecs:
        # GStreamer's elements differ by codec, and FFmpeg tells it.
        with _open_stream(address, name, replace(options, hardware=None), kind, set()) as clip:
            codecs.append(clip.codec)
    return opencv.open_pipeline(jetson.rtsp_pipeline(address, codecs[0], name), name, _NO_STREAM)


def _limits(options: LiveOptions) -> tuple[float, float]:
    """Return the seconds that FFmpeg may take to open a stream and to read a packet."""
    return options.open_timeout + _SLACK, options.stall_timeout + _SLACK


def _protocol_options(address: str) -> dict[str, str]:
    if address.startswith("http"):
        return _HLS_OPTIONS  # and perhaps a file, whose rate is of interest
    return _LIVE_OPTIONS | _SPECIAL_OPTIONS.get(address.partition(":")[0], {})


def _open_camera(camera: str | int, name: str, options: LiveOptions, kind: dict[str, Any]) -> Any:
    text = (
        f"cannot open {name}: is it connected, not in use by another program, "
        "and are you in the group video?"
    )
    device = camera if isinstance(camera, str) else f"/dev/video{camera}"
    if not Path(device).exists():
        raise PermanentError(text)
    try:
        clip = _open_v4l2(device, name, options, kind)
        return opencv.open_camera(camera, name) if clip is None else clip
    except (NoDecoderError, SizeError):
        raise
    except SourceError as error:
        raise type(error)(text) from None


def _open_v4l2(device: str, name: str, options: LiveOptions, kind: dict[str, Any]) -> Any:
    """Open a device by PyAV; returns None if it is not there, or has no V4L2."""
    try:
        import av

        from edgecount.runtime.sources.live.stream import LiveClip
    except ImportError:
        return None
    if not any(_V4L2 in form.split(",") for form in av.formats_available):
        return None
    return LiveClip(
        device,
        name,
        newest=options.newest,
        options=_LIVE_OPTIONS,
        timeout=_limits(options),
        device=_V4L2,
        **kind,
    )
