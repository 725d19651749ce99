"""How far things move from frame to frame, at the places that are asked for."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.analytics.tracks import Array

_SIDE = 320  # px of the longer side at which flow is computed
_MARGIN = 24  # px around the places, so that what enters between two frames is seen


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
        # Fast, and finer than ULTRAFAST: flow at half the resolution of its input.
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def update(self, image: NDArray[np.uint8], places: Array) -> Array | None:
        """Return how far what is at the places now has moved since the frame before.

        Args:
            image: uint8 (H, W, 3) BGR.
            places: (N, 2) x, y in pixels.

        Returns:
            (N, 2) in pixels; None for the first frame.
        """
        small = cv2.resize(image, self._small, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        before, self._before = self._before, grey
        if before is None:
            return None
        if not len(places):
            return np.zeros((0, 2))
        at = np.clip((places * self._scale).astype(np.int64), 0, np.array(self._small) - 1)
        first = np.maximum(at.min(0) - _MARGIN, 0)
        last = np.minimum(at.max(0) + _MARGIN + 1, np.array(self._small))
        window = (slice(first[1], last[1]), slice(first[0], last[0]))
        # From now to before, so that the vectors belong to where things are now.
        now, then = (np.ascontiguousarray(one[window]) for one in (grey, before))
        backwards = self._search.calc(now, then, None)  # type: ignore[call-overload]
        found: Array = -backwards[at[:, 1] - first[1], at[:, 0] - first[0]] / self._scale
        return found
