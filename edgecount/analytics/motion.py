"""Whether the camera itself moves: panned, tilted, zoomed or knocked."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._numbers import check_seconds
from edgecount.analytics._checks import later
from edgecount.analytics._compare import SIDE, Image, correlation, edges_of, shrunk, take_image

_STEP = 0.4  # s between the pictures that are compared, if frames come faster
_SLOWEST = 0.01  # of the picture's width a second, which is taken for motion
_LEAST = 0.4  # px at 160 x 90 that the corners of the picture have to go: less is noise
_CORNERS = 80  # places that are followed
_FEWEST = 12  # of them, below which nothing is said
_FOUND = 0.4  # share of them that are found again while the view is the same
_SAME_VIEW = 0.3  # correlation of edges from which on it is the same view, lit otherwise
_AGREED = 0.6  # share of those that move as one, as a crowd does not


class CameraMotion:
    """A watch that tells when a camera is moved.

    Corners of the picture, at 160 x 90 pixels, are followed over 0.4 s, and one motion (shift,
    turn, zoom) is fitted to them that most of them share: the camera stands as long as most of what
    is in view does, whoever walks there. A picture in which hardly any corner is found again, and
    hardly an edge lies where it was, is another view. Of one without corners nothing is said.

    Args:
        settle: seconds without motion after which the camera stands again.

    Raises:
        ConfigError: ``settle`` is negative or not finite.
    """

    def __init__(self, settle: float = 1.0) -> None:
        check_seconds("settle", settle)
        self._settle = settle
        self._time: float | None = None
        self._key: tuple[float, Image] | None = None
        self._moved: float | None = None  # when it moved last

    def update(self, time: float, image: Image) -> bool:
        """Take a frame, and return whether the camera moves, or has not settled yet.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            image: uint8 (H, W, 3), BGR.

        Raises:
            InputError: the time is before the last one, or the image is another array.
        """
        image = take_image(image)
        later(time, self._time)
        self._time = time
        if self._key is None or time - self._key[0] >= _STEP or self.moves_at(time):
            grey = cv2.cvtColor(shrunk(image), cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
            if self._key is None:
                self._key = time, grey
            elif time > self._key[0]:
                if _has_moved(self._key[1], grey, time - self._key[0]):
                    self._moved = time
                if time - self._key[0] >= _STEP:
                    self._key = time, grey
        return self.moves_at(time)

    def moves_at(self, time: float) -> bool:
        """Return whether the camera moves, or has not settled, by the frames that were seen."""
        return self._moved is not None and time - self._moved < max(self._settle, 1e-9)


def _has_moved(before: Image, now: Image, passed: float) -> bool:
    """Return whether the scene of two pictures lies elsewhere in them."""
    found_corners: Any = cv2.goodFeaturesToTrack(before, _CORNERS, 0.02, 6)
    if found_corners is None or len(found_corners) < _FEWEST:  # None of a flat picture
        return False
    corners: NDArray[np.float32] = found_corners
    there, status, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, np.empty_like(corners), winSize=(11, 11), maxLevel=3
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(
        now, before, there, np.empty_like(there), winSize=(11, 11), maxLevel=3
    )
    off = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    found = (status.ravel() > 0) & (again.ravel() > 0) & (off < 0.5)
    if found.sum() < max(_FOUND * len(corners), _FEWEST / 2):
        # Another view, or the same in other light, as where a stage flashes.
        return correlation(edges_of(before), edges_of(now)) < _SAME_VIEW
    start, end = corners.reshape(-1, 2)[found], there.reshape(-1, 2)[found]
    matrix, agreed = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=0.7)
    if matrix is None or agreed.mean() < _AGREED:
        return False
    return _reach(matrix) > max(_SLOWEST * SIDE[0] * min(passed, 1.0), _LEAST)


def _reach(matrix: NDArray[np.float64]) -> float:
    """Return how far a motion takes the picture's corners at the most, px."""
    width, height = SIDE
    ends = np.array([(0, 0, 1), (width, 0, 1), (width, height, 1), (0, height, 1)], np.float64)
    return float(np.linalg.norm(ends @ matrix.T - ends[:, :2], axis=1).max())
