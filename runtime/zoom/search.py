"""Recurrent attentive zooming (RAZ-Net, Liu, Weng and Mu, CVPR 2019).

Where the first pass sees a dense crowd, the frame is cut, enlarged and searched again by the same
network, and that may recur. It works with any network that gives a heatmap.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edgecount import _ext
from edgecount.runtime.zoom.proposals import Prediction, anchor_sides, propose_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Boxes = NDArray[np.float64]

ENLARGEMENT = 2  # of each pass over the one before
MARGIN = 16  # network px around a region that are seen too, so that its edge cuts no head

Window: TypeAlias = tuple[int, int, int, int]
"""(left, top, right, bottom) of a part of a frame, in source pixels."""

Look: TypeAlias = "Callable[[Window, int], Prediction]"
"""Returns the maps of a part of the frame, enlarged so many times over the first pass."""


@dataclass(frozen=True)
class Zoom:
    """A search for head points at several sizes.

    A region's points replace those of the pass before. Where regions overlap, the better one
    counts. Two points of different passes that the larger cells' NMS would hold for one head are
    counted once, so that a head on a region's edge is not found on both of its sides.

    Attributes:
        levels: enlargements after the first pass, 0 or more.
        threshold: a peak's score is above it.
        window: side of the peak window in heatmap cells.
        align: source pixels that a window's sides are multiples of: 2 for NV12, else 1.
        proposing: options of `propose_regions`, the same in every pass.
    """

    levels: int
    threshold: float
    window: int = 3
    align: int = 1
    proposing: dict[str, Any] = field(default_factory=dict)

    def find(self, look: Look, size: tuple[int, int], first: Prediction | None = None) -> Array:
        """Return (N, 3) x, y in source pixels, and score, of the heads in a frame.

        Args:
            look: runs the network.
            size: width and height of the frame in source pixels.
            first: what `look` gives of the whole frame, if that is there.

        Returns:
            The points from top to bottom, and from left to right at equal heights.

        Raises:
            ValueError: a map holds a value that is not finite; the message names its role.
        """
        frame = (0, 0, *size)
        points = self._search(look, size, frame, first or look(frame, 1), 0)
        return points[np.lexsort((points[:, 0], points[:, 1]))]

    def _search(
        self, look: Look, size: tuple[int, int], window: Window, seen: Prediction, level: int
    ) -> Array:
        left, top, right, bottom = window
        scale = np.array(seen.size) / (right - left, bottom - top)  # network px per source px
        points = self._peaks(seen, window, scale)
        if level == self.levels:
            return points
        corners = propose_regions(seen, **self.proposing).reshape(-1, 2, 2)
        regions = (corners / scale + np.array(window[:2])).reshape(-1, 4)
        # Within it the window of the coarser pass would have kept one peak of the two.
        reach = seen.stride * (self.window // 2) / scale
        for index, region in enumerate(regions):
            around = self._around(region, MARGIN / scale, size)
            nearer = look(around, ENLARGEMENT ** (level + 1))
            found = self._search(look, size, around, nearer, level + 1)
            earlier = regions[:index]
            within = inside(points, region[None]) & ~inside(points, earlier)
            is_new = inside(found, region[None]) & ~inside(found, earlier)
            others, before, new = points[~within], points[within], found[is_new]
            # A head on the border whose two places lie on either side of it is in neither.
            beyond = found[~is_new]
            beyond = beyond[~_near(beyond, others, reach)]
            lost = before[_near(before, beyond, reach) & ~_near(before, new, reach)]
            points = np.concatenate([others, new[~_near(new, others, reach)], lost])
        return points

    def _peaks(self, seen: Prediction, window: Window, scale: NDArray[np.float64]) -> Array:
        """Return the peaks of a pass in source pixels, inside its window."""
        maps = (
            None if values is None else np.ascontiguousarray(values[None])
            for values in (seen.heatmap, seen.offset, seen.density)
        )
        # The density is there to be checked, too: regions are proposed by it.
        found = _ext.count_maps(*maps, window=self.window, threshold=self.threshold)
        points: Array = found.peaks[0].copy()
        placed = points[:, :2] * (seen.stride / scale) + window[:2]
        points[:, :2] = np.clip(placed, window[:2], window[2:])
        return points

    def _around(self, region: Boxes, margin: NDArray[np.float64], size: tuple[int, int]) -> Window:
        """Return the window of a region, its margin and what makes its sides whole."""
        low = np.floor((region[:2] - margin) / self.align) * self.align
        high = np.ceil((region[2:] + margin) / self.align) * self.align
        left, top = low.clip(min=0).astype(int).tolist()
        right, bottom = np.minimum(high, size).astype(int).tolist()
        return left, top, right, bottom


def inside(points: Array, boxes: Boxes) -> NDArray[np.bool_]:
    """Return which points lie in any of the boxes; a box holds its left and top edges."""
    x, y = points[:, 0, None], points[:, 1, None]
    left, top, right, bottom = boxes.T
    found: NDArray[np.bool_] = ((x >= left) & (x < right) & (y >= top) & (y < bottom)).any(1)
    return found


def _near(points: Array, others: Array, reach: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points have one of the others within reach on both axes, in source pixels."""
    near = np.zeros(len(points), bool)
    if not len(points):
        return near
    low, high = points[:, :2].min(0) - reach, points[:, :2].max(0) + reach
    beside = others[((others[:, :2] >= low) & (others[:, :2] <= high)).all(1)]
    for place in beside[:, :2]:
        near |= (abs(points[:, :2] - place) <= reach).all(1)
    return near


@functools.lru_cache(maxsize=64)  # cameras have one size
def largest_views(size: tuple[int, int], resized: tuple[int, int], levels: int) -> tuple[int, int]:
    """Return the largest height and width, in network pixels, that regions can be enlarged to.

    Args:
        size: width and height of the frame in source pixels.
        resized: height and width of the first pass in network pixels.
        levels: see `Zoom`.
    """
    scale = resized[1] / size[0], resized[0] / size[1]
    views, largest = {(resized[1], resized[0])}, (0, 0)
    for level in range(1, levels + 1):
        factor = ENLARGEMENT**level
        views = {_enlarged(side, size, scale, factor) for view in views for side in _sides(view)}
        largest = (
            max(largest[0], *(height for _, height in views)),
            max(largest[1], *(width for width, _ in views)),
        )
    return largest


def _sides(view: tuple[int, int]) -> list[tuple[int, int]]:
    return [(int(width), int(height)) for width, height in anchor_sides(view)]


def _enlarged(
    sides: tuple[int, int], size: tuple[int, int], scale: tuple[float, float], factor: int
) -> tuple[int, int]:
    """Return an upper bound of the (width, height) of an enlarged anchor, with all around it."""
    # A window's sides are widened to whole source px, to even ones of NV12.
    bounds = (
        min((side + 2 * MARGIN) * ENLARGEMENT + 4 * ratio * factor, whole * ratio * factor)
        for side, whole, ratio in zip(sides, size, scale, strict=True)
    )
    width, height = (int(bound) + 1 for bound in bounds)
    return width, height
