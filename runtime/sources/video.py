"""Videos, network streams and cameras, all decoded by OpenCV."""

from __future__ import annotations

import functools
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import as_bgr, read_file
from edgecount.runtime.frames.opencv import load_cv2, quiet_cv2, quiet_ffmpeg
from edgecount.runtime.sources.base import Frame, Source

_log = logging.getLogger(__name__)

_TIMEOUT_MS = 10_000
# Containers round their durations, and some count frames that the edit list hides.
_TOLERATED_SHARE = 0.1
_TOLERATED_SECONDS = 0.5


class VideoSource(Source):
    """A video file."""

    is_video = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)

    @property
    def length(self) -> int | None:
        """Number of frames by the container, perhaps an estimate; reading it opens the file."""
        return self._length_and_fps[0]

    @property
    def fps(self) -> float | None:
        """Mean frames per second by the container; reading it opens the file."""
        return self._length_and_fps[1]

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order.

        Raises:
            SourceError: the file cannot be opened, holds no frame, or stops well before its end.
        """
        with self._open() as capture:
            count, last = 0, 0.0
            for image in _read(capture):
                # Some containers have no time stamps: then the frame rate tells.
                fallback = count / self.fps if self.fps else 0.0
                last = _property(capture, "POS_MSEC") / 1000 or fallback
                yield Frame(image, self.name, count, last)
                count += 1
        self._check_end(count, last)

    @functools.cached_property
    def _length_and_fps(self) -> tuple[int | None, float | None]:
        with self._open() as capture:
            length, fps = _property(capture, "FRAME_COUNT"), _property(capture, "FPS")
        return int(length) if length >= 1 else None, fps if fps > 0 else None

    @contextmanager
    def _open(self) -> Iterator[Any]:
        read_file(Path(self.name), "a video", most=1)  # OpenCV gives no reasons
        with _capture(self.name) as capture:
            if not capture.isOpened():
                raise SourceError(
                    f"{self.name} cannot be opened as a video: it is damaged, cut off, or in a "
                    "format that this OpenCV does not decode"
                )
            yield capture

    def _check_end(self, count: int, last: float) -> None:
        """Refuse a file that ends early: a count over too few frames would be a wrong result."""
        if count == 0:
            raise SourceError(f"{self.name} holds no frame that can be decoded")
        length, fps = self.length, self.fps
        if length is None or fps is None or count >= length * (1 - _TOLERATED_SHARE):
            return
        # A variable frame rate makes the estimated number wrong, but not the time of the end.
        lost = length / fps - last
        if lost > _TOLERATED_SECONDS and lost > _TOLERATED_SHARE * length / fps:
            raise SourceError(
                f"{self.name} stops after {count} of {length} frames: it is damaged or cut off"
            )
        _log.warning("%s gave %d frames and says it has %d", self.name, count, length)


class _LiveSource(Source):
    """A source without an end: its length and rate are not known beforehand."""

    is_video = True
    length = None
    fps = None

    def _live_frames(self, capture: Any) -> Iterator[Frame]:
        start = None
        for index, image in enumerate(_read(capture)):
            now = time.monotonic()
            start = now if start is None else start
            yield Frame(image, self.name, index, now - start)


class StreamSource(_LiveSource):
    """A network stream, rtsp://, http:// or https://; not reopened when it breaks off."""

    def __init__(self, url: str) -> None:
        self.name = url

    def frames(self) -> Iterator[Frame]:
        """Yield the frames as they come.

        Raises:
            SourceError: the stream cannot be opened within ten seconds or gives no frame, or a
                stream of a camera (rtsp) ends.
        """
        cv2 = load_cv2()
        # OpenCV's own limit is half a minute, in which a camera that is away stops everything.
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS]
        limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
        count = 0
        with _capture(self.name, cv2.CAP_FFMPEG, limits) as capture:
            if not capture.isOpened():
                raise SourceError(
                    f"cannot open the stream {self.name}: is the address right, and is it there?"
                )
            for frame in self._live_frames(capture):
                yield frame
                count += 1
        # A file behind http:// ends; a camera does not.
        if count == 0 or self.name.lower().startswith("rtsp"):
            raise SourceError(f"the stream {self.name} ended after {count} frames")


class CameraSource(_LiveSource):
    """A camera of this machine.

    Args:
        camera: its number from 0, or its device such as /dev/video0.

    Raises:
        SourceError: there is no such number.
    """

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
        count = 0
        with _capture(self._camera) as capture:
            if not capture.isOpened():
                raise SourceError(
                    f"cannot open {self.name}: is it connected, not in use by another program, "
                    "and are you in the group video?"
                )
            for frame in self._live_frames(capture):
                yield frame
                count += 1
        raise SourceError(f"{self.name} stopped giving frames after {count}")


@contextmanager
def _capture(*arguments: Any) -> Iterator[Any]:
    with quiet_ffmpeg():
        capture = load_cv2().VideoCapture(*arguments)
    try:
        yield capture
    finally:
        capture.release()


def _read(capture: Any) -> Iterator[Any]:
    cv2 = load_cv2()
    while True:
        with quiet_cv2:
            try:
                got, image = capture.read()
            except cv2.error as error:
                raise SourceError(f"a frame cannot be decoded: {error.err}") from None
        if not got or image is None:
            return
        yield as_bgr(image)


def _property(capture: Any, name: str) -> float:
    value = float(capture.get(getattr(load_cv2(), f"CAP_PROP_{name}")))
    return value if math.isfinite(value) else 0.0
