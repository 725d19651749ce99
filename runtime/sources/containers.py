"""Opening files, streams and devices by FFmpeg, and the track of them that is counted."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import av
from av.stream import Disposition

from edgecount.errors import SourceError
from edgecount.runtime.sources.faults import PermanentError, UnknownProtocolError
from edgecount.runtime.sources.once import warn_once

_log = logging.getLogger(__name__)

PLAYLISTS = ("hls", "dash")
_STILLS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")  # codecs of covers, beside a video's

# Reasons for which a stream cannot be opened now or later.
_PERMANENT = (
    av.error.HTTPUnauthorizedError,
    av.error.HTTPForbiddenError,
    av.error.HTTPNotFoundError,
    av.DemuxerNotFoundError,
    av.DecoderNotFoundError,
    PermissionError,
    FileNotFoundError,
)


def open_container(
    url: str,
    name: str,
    *,
    device: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> Any:
    """Open a file, stream or device.

    Args:
        url: a path or an address.
        name: how it is called in messages.
        device: kind of device that it is one of, such as "v4l2"; None: a file or an address.
        options: FFmpeg's options for the file or protocol.
        timeout: seconds that opening and each read of a stream may take; None: a file.

    Returns:
        An `av.InputContainer`.

    Raises:
        SourceError: it cannot be opened; a `PermanentError` if time will not change that.
    """
    try:
        # Names of camera makers and titles are not always UTF-8.
        return av.open(
            url,
            format=device,
            options=dict(options or {}),
            timeout=timeout,
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError) as error:
        why = reason_of(error)
        if timeout is not None:
            why = _fault_of_name(error, url) or why
            raise _kind(error, is_download=url.startswith(("http:", "https:")))(
                f"cannot open the stream {name}: {_question(error)} ({why})"
            ) from None
        raise SourceError(
            f"{name} cannot be opened as a video: it is damaged, cut off, or in a format that "
            f"FFmpeg does not decode ({why})"
        ) from None


def video_track(container: Any, name: str) -> Any:
    """Return the track of a container that is counted; None if there is no video in it.

    Of several it is the largest, as heads are largest there; of equal ones the one that the file
    marks as its default, and else FFmpeg's choice. Covers and previews are left out, though no
    muxer marked them: single pictures, tracks far shorter than the longest, and stills beside a
    video. The variants of a playlist are one picture.

    Args:
        container: an `av.InputContainer`.
        name: how it is called in messages.

    Returns:
        An `av.VideoStream`, which may lack a decoder.
    """
    best = container.streams.best("video")
    tracks = _moving([track for track in container.streams.video if _is_video(track)])
    if container.format.name.startswith(PLAYLISTS) or not tracks:
        return best
    if len(tracks) == 1:
        return tracks[0]

    def rank(track: Any) -> tuple[int, bool, bool]:
        codec = track.codec_context
        is_default = bool(track.disposition & Disposition.default)
        is_best = best is not None and track.index == best.index
        return codec.width * codec.height, is_default, is_best

    chosen = max(tracks, key=rank)
    codec = chosen.codec_context
    # Of streams whose beginning is not looked at the size is not known yet.
    size = f" ({codec.width} x {codec.height} pixels)" if codec.width else ""
    number = tracks.index(chosen) + 1
    warn_once(
        _log,
        f"{name} has {len(tracks)} video tracks: track {number}{size} is counted, and no other",
    )
    return chosen


def _is_video(track: Any) -> bool:
    """Return whether a track can be decoded, and is neither a cover nor a preview."""
    aside = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return getattr(track, "codec_context", None) is not None and not track.disposition & aside


def _moving(tracks: list[Any]) -> list[Any]:
    """Return the tracks that may be the video, where some are covers or previews; else all."""
    if not any(one.frames or one.duration for one in tracks):  # Matroska does not say
        return [one for one in tracks if one.codec_context.name not in _STILLS] or tracks
    tracks = [one for one in tracks if one.frames != 1] or tracks  # 0: the file does not say
    longest = max(map(_seconds, tracks), default=0.0)
    return [one for one in tracks if not 0 < _seconds(one) < longest / 2]


def _seconds(track: Any) -> float:
    """Return how long a track lasts; 0 where the container does not say."""
    return float(track.duration * track.time_base) if track.duration else 0.0


def _kind(error: Exception, *, is_download: bool) -> type[SourceError]:
    """Return the class of error for what FFmpeg says when it opens a stream."""
    if isinstance(error, av.ProtocolNotFoundError):
        return UnknownProtocolError
    # What is no video behind http will be none; a camera that starts may give anything.
    lasting = isinstance(error, _PERMANENT) or (is_download and isinstance(error, ValueError))
    return PermanentError if lasting else SourceError


def _question(error: Exception) -> str:
    """Return what to look at first."""
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return "are user and password right?"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "is the path right?"
    return "is the address right, and is it there?"


def _fault_of_name(error: Exception, url: str) -> str:
    """Say that a host's name is not known, which FFmpeg calls an input/output error; or nothing."""
    if getattr(error, "errno", None) != errno.EIO:
        return ""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # no address that Python knows
        return ""
    if not host:
        return ""
    try:
        socket.getaddrinfo(host, None)
    except OSError as fault:
        return f"{host}: {fault.strerror}"
    return ""


def reason_of(error: Exception) -> str:
    """Return FFmpeg's words without the address, which may hold a password."""
    words = getattr(error, "strerror", None) or type(error).__name__
    return "it took too long" if words == "Immediate exit requested" else words
