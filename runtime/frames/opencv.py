"""OpenCV, loaded when a file is first decoded, and kept from writing to stderr itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edgecount._opencv import load_cv2

__all__ = ["load_cv2", "quiet_cv2", "quiet_ffmpeg"]

_FFMPEG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_FFMPEG_QUIET = "-8"  # AV_LOG_QUIET
_SILENT = 0  # LOG_LEVEL_SILENT


def _set_level(level: int) -> int:
    """Set OpenCV's log level, and return the one before."""
    cv2 = load_cv2()
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        before: int = cv2.getLogLevel()
        cv2.setLogLevel(level)
        return before
    previous: int = cv2.utils.logging.setLogLevel(level)  # OpenCV 5
    return previous


class _Quiet:
    """Silence OpenCV's own messages on stderr around a call: our errors say what went wrong.

    Its log level is one for the process, lowered while any thread asks for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0

    def __enter__(self) -> None:
        with self._lock:
            # Counted, as threads overlap: the last one to leave restores the user's level.
            if self._users == 0:
                self._before = _set_level(_SILENT)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                _set_level(self._before)


quiet_cv2 = _Quiet()


@contextmanager
def quiet_ffmpeg() -> Iterator[None]:
    """Silence FFmpeg too, around the opening of a video.

    OpenCV reads FFmpeg's level from the environment, once, when it first opens a video. A level
    that the user has set stays.
    """
    ours = _FFMPEG_LEVEL not in os.environ
    if ours:
        os.environ[_FFMPEG_LEVEL] = _FFMPEG_QUIET
    try:
        with quiet_cv2:
            yield
    finally:
        if ours:
            os.environ.pop(_FFMPEG_LEVEL, None)
