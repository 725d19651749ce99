"""Outlines of polygons less other polygons, with nothing left that crosses or winds twice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount.regions.region import Polygon

Segments = NDArray[np.float64]


def outline(polygon: Polygon, excluded: Sequence[Polygon] = ()) -> Segments:
    """Return what bounds a polygon without the areas that are excluded.

    The plane is cut into slabs at the height of every corner and of every crossing of two edges.
    In a slab no edges cross, and from left to right the windings of each polygon tell which spans
    between them are inside (the sweep of Nievergelt and Preparata, "Plane-sweep algorithms for
    intersecting geometric figures", CACM 1982, with all events known beforehand). It is exact but
    for the rounding of crossings, some 1e-13 of the largest coordinate.

    Args:
        polygon: (N, 2) x, y; where it winds around a place, either way and however often, is
            inside.
        excluded: polygons of the same kind, which may overlap each other and reach beyond.

    Returns:
        (M, 2, 2): directed segments from [:, 0] to [:, 1], those on the left of the area downwards
        (y grows), those on its right upwards. Level ones, which bound no area to either side, are
        left out.
    """
    edges = _Edges.of([polygon, *excluded])
    heights = np.unique(np.concatenate([edges.top[:, 1], edges.bottom[:, 1], _crossings(edges)]))
    found = [
        _bounds(edges, place, high, low)
        for place, (high, low) in enumerate(itertools.pairwise(heights.tolist()))
    ]
    bounds = np.concatenate([np.zeros((0, 3), np.int64), *found])
    return _joined(edges, heights, bounds) if len(bounds) else np.zeros((0, 2, 2))


def trapezoids(segments: Segments) -> NDArray[np.float64]:
    """Cut the area that an outline bounds into trapezoids with level upper and lower sides.

    Args:
        segments: (M, 2, 2), as `outline` gives them.

    Returns:
        (K, 4, 2): upper left, upper right, lower right and lower left corner (y grows downwards).
    """
    found = [np.zeros((0, 4, 2))]
    top, bottom = segments[:, :, 1].min(axis=1), segments[:, :, 1].max(axis=1)
    for high, low in itertools.pairwise(np.unique(segments[:, :, 1]).tolist()):
        (x0, y0), (x1, y1) = segments[(top <= high) & (bottom >= low)].transpose(1, 2, 0)
        ends = [x0 + (y - y0) / (y1 - y0) * (x1 - x0) for y in (high, low)]
        upper, lower = (end[np.argsort(ends[0] + ends[1], kind="stable")] for end in ends)
        # Left and right bounds by turns: no two cross in between.
        corners = (upper[0::2], upper[1::2], lower[1::2], lower[0::2])
        heights = np.array([high, high, low, low])
        x = np.stack(corners, axis=1)
        found.append(np.stack([x, np.broadcast_to(heights, x.shape)], axis=2))
    return np.concatenate(found)


@dataclass(frozen=True)
class _Edges:
    """Edges of several polygons, each from its top to its bottom.

    Attributes:
        top: (E, 2) ends with the lesser y.
        bottom: (E, 2) ends with the greater y.
        turns: (polygons, E) 1 where a polygon runs down along the edge, -1 where up, 0 where the
            edge is another's.
    """

    top: NDArray[np.float64]
    bottom: NDArray[np.float64]
    turns: NDArray[np.int64]

    @classmethod
    def of(cls, polygons: Sequence[Polygon]) -> _Edges:
        start = np.concatenate(polygons)
        end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
        owner = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
        steep = start[:, 1] != end[:, 1]
        start, end, owner = start[steep], end[steep], owner[steep]
        down = start[:, 1] < end[:, 1]
        turns = np.where(owner == np.arange(len(polygons))[:, None], np.where(down, 1, -1), 0)
        top, bottom = np.where(down[:, None], start, end), np.where(down[:, None], end, start)
        return cls(top, bottom, turns)

    def x_at(self, chosen: NDArray[np.int64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the x of edges at heights between their ends."""
        (x0, y0), (x1, y1) = self.top[chosen].T, self.bottom[chosen].T
        x: NDArray[np.float64] = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
        return x


def _crossings(edges: _Edges) -> NDArray[np.float64]:
    """Return the heights at which two edges cross."""
    steps = edges.bottom - edges.top
    found = [np.zeros(0)]
    for place in range(len(steps) - 1):
        others = steps[place + 1 :]
        apart = edges.top[place + 1 :] - edges.top[place]
        turn = steps[place, 0] * others[:, 1] - steps[place, 1] * others[:, 0]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            along = (apart[:, 0] * others[:, 1] - apart[:, 1] * others[:, 0]) / turn
            across = (apart[:, 0] * steps[place, 1] - apart[:, 1] * steps[place, 0]) / turn
        meet = (along > 0) & (along < 1) & (across > 0) & (across < 1)
        found.append(edges.top[place, 1] + along[meet] * steps[place, 1])
    return np.concatenate(found)


def _bounds(edges: _Edges, place: int, high: float, low: float) -> NDArray[np.int64]:
    """Return (K, 3) edges that bound the area in a slab, 1 or -1 for left or right, and place."""
    spans = np.flatnonzero((edges.top[:, 1] <= high) & (edges.bottom[:, 1] >= low))
    spans = spans[np.argsort(edges.x_at(spans, np.float64((high + low) / 2)), kind="stable")]
    winds = np.cumsum(edges.turns[:, spans], axis=1) != 0
    inside = winds[0] & ~winds[1:].any(axis=0)
    change = np.diff(inside.astype(np.int64), prepend=0)
    at = np.flatnonzero(change)
    return np.column_stack([spans[at], change[at], np.full(len(at), place)])


def _joined(
    edges: _Edges, heights: NDArray[np.float64], bounds: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the segments of edges that go on from slab to slab, (M, 2, 2)."""
    edge, side, slab = bounds[np.lexsort((bounds[:, 2], bounds[:, 1], bounds[:, 0]))].T
    goes_on = (np.diff(edge) == 0) & (np.diff(side) == 0) & (np.diff(slab) == 1)
    first = np.flatnonzero(np.append(True, ~goes_on))
    last = np.flatnonzero(np.append(~goes_on, True))
    edge, side = edge[first], side[first]
    high, low = heights[slab[first]], heights[slab[last] + 1]
    down = np.stack(
        [
            np.column_stack([edges.x_at(edge, high), high]),
            np.column_stack([edges.x_at(edge, low), low]),
        ],
        axis=1,
    )
    segments: NDArray[np.float64] = np.where(side[:, None, None] > 0, down, down[:, ::-1])
    return segments
