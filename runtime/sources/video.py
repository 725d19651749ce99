"""Videos, network streams and cameras.

Clips and streams are decoded by FFmpeg through PyAV, which tells what is damaged. Where PyAV is not
installed, or has no decoder, OpenCV decodes them.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import MAX_PIXELS, read_file
from edgecount.runtime.frames.opencv import load_cv2
from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.urls import stream_name

if TYPE_CHECKING:
    from edgecount.runtime.sources.opencv import OpenCVClip
    from edgecount.runtime.sources.pyav import PyAVClip

    Clip: TypeAlias = PyAVClip | OpenCVClip

_log = logging.getLogger(__name__)

_TIMEOUT = 10.0  # s
# Playlists and the like must not open connections or devices in the name of a file.
_FILE_OPTIONS = {"protocol_whitelist": "file"}
# Over UDP, which comes first otherwise, pictures break up wherever a packet is lost.
_RTSP_OPTIONS = {"rtsp_flags": "prefer_tcp"}
_NO_PYAV = "PyAV is not installed (pip install av)"


class VideoSource(Source):
    """A video file.

    Args:
        path: the file.
        accept_damaged: whether frames that the decoder marks as damaged are given too, and damage
            is a warning in the log in place of an error.
        max_pixels: most pixels of a frame.
    """

    is_video = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.name = os.fspath(path)
        self._accept_damaged = accept_damaged
        self._max_pixels = max_pixels

    @property
    def length(self) -> int | None:
        """Number of frames by the container, perhaps an estimate; reading it opens the file."""
        return self._length_and_fps[0]

    @property
    def fps(self) -> float | None:
        """Mean frames per second by the container; reading it opens the file."""
        return self._length_and_fps[1]

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order, those without damage.

        Raises:
            SourceError: the file cannot be opened, holds no frame, is damaged or stops before its
                end; raised after the last frame that could be read.
        """
        with self._open() as clip:
            for image, number, seconds in clip.pictures():
                yield Frame(image, self.name, number, seconds)
            _tell(clip, self._accept_damaged)

    @functools.cached_property
    def _length_and_fps(self) -> tuple[int | None, float | None]:
        with self._open() as clip:
            return clip.length, clip.fps

    def _open(self) -> Clip:
        read_file(Path(self.name), "a video", most=1)  # decoders give no reasons
        try:
            from edgecount.runtime.sources import pyav
        except ImportError:
            return self._open_by_opencv(_NO_PYAV)
        try:
            # As an address: a name with a colon is none by itself.
            return pyav.PyAVClip(
                f"file:{self.name}",
                self.name,
                accept_damaged=self._accept_damaged,
                max_pixels=self._max_pixels,
                options=_FILE_OPTIONS,
            )
        except pyav.NoDecoderError as error:
            try:
                return self._open_by_opencv("PyAV has no decoder for it")
            except SourceError:
                raise error from None

    def _open_by_opencv(self, why: str) -> Clip:
        # An absolute path: a name with a colon would be an address.
        return _by_opencv(os.path.abspath(self.name), self.name, why)  # noqa: PTH100


def _tell(clip: Clip, accept_damaged: bool) -> None:
    """Raise a SourceError of what was wrong with a clip, or log it where damage is accepted."""
    fault = clip.fault()
    if fault and clip.given and accept_damaged:
        _log.warning("%s", fault)
    elif fault:
        raise SourceError(fault)


class StreamSource(Source):
    """A network stream, rtsp://, http:// or https://; not reopened when it breaks off.

    Args:
        url: the address; its name is the address without the secrets that it may hold.
        accept_damaged: see `VideoSource`.
        max_pixels: most pixels of a frame.
    """

    is_video = True
    length = None
    fps = None

    def __init__(
        self, url: str, *, accept_damaged: bool = False, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.name = stream_name(url)
        scheme, mark, rest = url.strip().partition("://")
        self._url = scheme.lower() + mark + rest  # FFmpeg knows no protocol HTTP
        self._accept_damaged = accept_damaged
        self._max_pixels = max_pixels

    def frames(self) -> Iterator[Frame]:
        """Yield the frames as they come, those without damage.

        Raises:
            SourceError: the stream cannot be opened within ten seconds or gives no frame, or a
                stream of a camera (rtsp) ends; or a file behind http is damaged or breaks off.
        """
        with self._open() as clip:
            yield from _as_they_come(clip, self.name)
            if self.name.lower().startswith("rtsp"):  # a camera does not end
                raise SourceError(f"the stream {self.name} ended after {clip.given} frames")
            _tell(clip, self._accept_damaged)

    def _open(self) -> Clip:
        try:
            from edgecount.runtime.sources import pyav
        except ImportError:
            return self._open_by_opencv()
        return pyav.PyAVClip(
            self._url,
            self.name,
            accept_damaged=self._accept_damaged,
            max_pixels=self._max_pixels,
            options=_RTSP_OPTIONS if self.name.lower().startswith("rtsp") else {},
            timeout=_TIMEOUT,
        )

    def _open_by_opencv(self) -> Clip:
        cv2 = load_cv2()
        # OpenCV's own limit is half a minute, in which a camera that is away stops everything.
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * _TIMEOUT)]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * _TIMEOUT)]
        try:
            return _by_opencv(self._url, self.name, _NO_PYAV, (cv2.CAP_FFMPEG, limits))
        except SourceError:
            raise SourceError(
                f"cannot open the stream {self.name}: is the address right, and is it there?"
            ) from None


class CameraSource(Source):
    """A camera of this machine.

    Args:
        camera: its number from 0, or its device such as /dev/video0.

    Raises:
        SourceError: there is no such number.
    """

    is_video = True
    length = None
    fps = None

    def __init__(self, camera: int | str) -> None:
        # OpenCV 5.0 ends the process at -1, and takes no number past 31 bits.
        numbered = isinstance(camera, int) and not isinstance(camera, bool)
        if not isinstance(camera, str) and not (numbered and 0 <= camera < 2**31):
            raise SourceError(
                f"expected a camera's number, 0 or more, or its device, got {camera!r}"
            )
        self.name = f"camera {camera}" if isinstance(camera, int) else camera
        self._camera = camera

    def frames(self) -> Iterator[Frame]:
        """Yield the frames as they come.

        Raises:
            SourceError: the camera cannot be opened, or stops giving frames.
        """
        from edgecount.runtime.sources.opencv import OpenCVClip

        try:
            clip = OpenCVClip(self._camera, self.name)
        except SourceError:
            raise SourceError(
                f"cannot open {self.name}: is it connected, not in use by another program, "
                "and are you in the group video?"
            ) from None
        with clip:
            yield from _as_they_come(clip, self.name)
            raise SourceError(f"{self.name} stopped giving frames after {clip.given}")


def _as_they_come(clip: Clip, name: str) -> Iterator[Frame]:
    """Yield the frames of a live source, each with the time when it came."""
    start = None
    for image, number, _ in clip.pictures():
        now = time.monotonic()
        start = now if start is None else start
        yield Frame(image, name, number, now - start)


def _by_opencv(source: str, name: str, why: str, settings: Sequence[Any] = ()) -> OpenCVClip:
    from edgecount.runtime.sources.opencv import OpenCVClip

    clip = OpenCVClip(source, name, settings)
    _log.warning(
        "%s is decoded by OpenCV, which does not tell damaged frames, and may show interlaced ones "
        "wrongly: %s",
        name,
        why,
    )
    return clip
