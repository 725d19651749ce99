"""Clips, streams and cameras decoded by OpenCV: cameras, and what PyAV is not there for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import as_bgr
from edgecount.runtime.frames.opencv import load_cv2, quiet_cv2, quiet_ffmpeg
from edgecount.runtime.sources.aspect import SQUARE, pixel_ratio, square_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

_log = logging.getLogger(__name__)

# Containers round their durations, and some count frames that the edit list hides.
_TOLERATED_SHARE = 0.1
_TOLERATED_SECONDS = 0.5


class OpenCVClip:
    """An open clip, stream or camera, read as `PyAVClip` is; it cannot tell what is damaged.

    Args:
        source: a path, an address or a camera's number.
        name: how it is called in messages.
        settings: a backend of OpenCV and a list of its properties, or nothing.

    Attributes:
        length: number of frames by the container, perhaps an estimate; None if it does not say.
        fps: mean frames per second; None if it does not say.
        given: number of frames that were handed on.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, source: str | int, name: str, settings: Sequence[Any] = ()) -> None:
        self._name = name
        if isinstance(source, str) and not source.isascii():
            _refuse_odd_bytes(source, name)
        with quiet_ffmpeg():
            self._capture = load_cv2().VideoCapture(source, *settings)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(
                f"{name} cannot be opened as a video: it is damaged, cut off, or in a format that "
                "this OpenCV does not decode"
            )
        length, rate = self._property("FRAME_COUNT"), self._property("FPS")
        self.length = int(length) if length >= 1 else None
        self.fps = rate if rate > 0 else None
        self.given = 0
        self._last = 0.0  # time of the last frame, in seconds

    def pictures(self) -> Iterator[tuple[NDArray[np.uint8], int, float]]:
        """Yield the frames in order; see `PyAVClip.pictures`."""
        cv2 = load_cv2()
        while True:
            with quiet_cv2:
                try:
                    got, image = self._capture.read()
                except cv2.error as error:
                    raise SourceError(f"a frame cannot be decoded: {error.err}") from None
            if not got or image is None:
                return
            # Some containers have no time stamps: then the frame rate tells.
            by_rate = self.given / self.fps if self.fps else 0.0
            self._last = max(0.0, self._property("POS_MSEC") / 1000) or by_rate
            yield self._square(self._picture(image)), self.given, self._last
            self.given += 1

    def _picture(self, image: NDArray[Any]) -> Any:
        return as_bgr(image)

    def _square(self, picture: Any) -> Any:
        """Return a picture with square pixels."""
        ratio = pixel_ratio(self._property("SAR_NUM"), self._property("SAR_DEN"))
        if ratio == SQUARE:
            return picture
        if self._property("ORIENTATION_META") % 180:  # OpenCV has turned it
            ratio = 1 / ratio
        cv2 = load_cv2()
        size = square_size(picture.shape[1], picture.shape[0], ratio)
        return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)

    def fault(self) -> str:
        """Say what was wrong, once all pictures were taken; an empty text if nothing was."""
        given, length, fps = self.given, self.length, self.fps
        if given == 0:
            return f"{self._name} holds no frame that can be decoded"
        if length is None or fps is None or given >= length * (1 - _TOLERATED_SHARE):
            return ""
        # A variable frame rate makes the estimated number wrong, but not the time of the end.
        lost = length / fps - self._last
        if lost > _TOLERATED_SECONDS and lost > _TOLERATED_SHARE * length / fps:
            return f"{self._name} stops after {given} of {length} frames: it is damaged or cut off"
        _log.warning("%s gave %d frames and says it has %d", self._name, given, length)
        return ""

    def close(self) -> None:
        """Close the file or camera."""
        self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _property(self, name: str) -> float:
        value = float(self._capture.get(getattr(load_cv2(), f"CAP_PROP_{name}")))
        return value if math.isfinite(value) else 0.0


def _refuse_odd_bytes(source: str, name: str) -> None:
    """Refuse a name that is no UTF-8, at which OpenCV crashes."""
    try:
        source.encode()
    except UnicodeEncodeError:
        raise SourceError(
            f"{name} cannot be opened as a video: OpenCV takes no names that are not UTF-8"
        ) from None
