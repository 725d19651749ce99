"""How far things move from frame to frame, at the places that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.analytics.tracks import Array

_SIDE = 640  # px of the longer side at which flow is computed
_MARGIN = 32  # px around the places, so that what enters between two frames is seen

_Window = NDArray[np.int64]  # left, top, right, bottom in px


class FlowAt:
    """Dense optical flow of a camera's frames, around some places alone.

    Args:
        size: (width, height) of the frames in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        scale = min(1.0, _SIDE / max(size))
        self._small = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
        self._scale = np.array(self._small) / np.array(size)
        self._before: NDArray[np.uint8] | None = None
        # Refined down to a quarter of the resolution: finer ones lose more of a crowd's motion to
        # the ground between heads than they gain for single walkers.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # Without the variational refinement, which takes half of the time and smooths steps away.
        self._search.setVariationalRefinementIterations(0)

    def update(self, image: NDArray[np.uint8], places: Sequence[Array]) -> list[Array] | None:
        """Return how far what is at the places now has moved since the frame before.

        Args:
            image: uint8 (H, W, 3) BGR.
            places: groups of (N, 2) x, y in pixels, each near together.

        Returns:
            For each group (N, 2) in pixels; None for the first frame.
        """
        small = image
        if self._small != (image.shape[1], image.shape[0]):
            small = cv2.resize(image, self._small, interpolation=cv2.INTER_AREA).astype(
                np.uint8, copy=False
            )
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        before, self._before = self._before, grey
        if before is None:
            return None
        at = [
            np.clip((group * self._scale).astype(np.int64), 0, np.array(self._small) - 1)
            for group in places
        ]
        found = [np.zeros((len(group), 2)) for group in places]
        for window, members in self._windows(at):
            left, top, right, bottom = window
            # From now to before, so that the vectors belong to where things are now.
            now, then = (
                np.ascontiguousarray(one[top:bottom, left:right]) for one in (grey, before)
            )
            backwards = self._search.calc(now, then, None)  # type: ignore[call-overload]
            for member in members:
                x, y = at[member].T
                found[member] = -backwards[y - top, x - left] / self._scale
        return found

    def _windows(self, at: Sequence[NDArray[np.int64]]) -> list[tuple[_Window, list[int]]]:
        """Return windows around groups with places, one for those that share most of it."""
        windows: list[tuple[_Window, list[int]]] = []
        for number, group in enumerate(at):
            if not len(group):
                continue
            low = np.maximum(group.min(0) - _MARGIN, 0)
            high = np.minimum(group.max(0) + _MARGIN + 1, self._small)
            window, members = np.concatenate([low, high]), [number]
            for other in list(windows):
                both = _around(window, other[0])
                if _area(both) <= _area(window) + _area(other[0]):
                    windows = [one for one in windows if one is not other]
                    window, members = both, members + other[1]
            windows.append((window, members))
        return windows


def _around(a: _Window, b: _Window) -> _Window:
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])


def _area(window: _Window) -> int:
    return int(np.prod(window[2:] - window[:2]))
