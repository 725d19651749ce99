"""The exact coverage of a map's cells by regions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgecount.regions.outline import Segments, outline
from edgecount.regions.region import LARGEST_ROUNDED, Polygon, Region, exact

_log = logging.getLogger(__name__)

_Point: TypeAlias = "tuple[Fraction, Fraction]"


def rasterise(
    regions: Sequence[Region],
    *,
    size: tuple[int, int],
    grid: tuple[int, int],
    cell: tuple[float, float],
) -> NDArray[np.float32]:
    """Return the share of each map cell that each region covers, without what it excludes.

    A cell at the right or bottom edge may reach beyond the frame; its coverage is relative to
    the part inside, so that the regions of a partition of the frame sum to 1 in every cell.

    Args:
        regions: R regions.
        size: (width, height) of the frame in source pixels.
        grid: (rows, columns) of the map.
        cell: (width, height) of a cell in source pixels.

    Returns:
        float32 (R, rows, columns), C-contiguous, values in [0, 1]. A region that lies outside
        the frame is all zeros, and a warning is logged.
    """
    masks = np.zeros((len(regions), *grid), np.float32)
    cells = np.asarray(cell, np.float64)
    extent = np.minimum(np.asarray(size) / cells, grid[::-1])
    for mask, region in zip(masks, regions, strict=True):
        polygon = _near(region.polygon_in(size), size)
        if len(polygon) != 0:
            holes = [_near(area, size) / cells for area in region.excluded_in(size)]
            mask[...] = _coverage(outline(polygon / cells, holes), grid, extent)
        if not mask.any():
            _log.warning(
                "region %r lies outside the %d x %d frame%s and will count nobody",
                region.name,
                *size,
                ", or in what it excludes," if region.excluded else "",
            )
    return masks


def _near(polygon: Polygon, size: tuple[int, int]) -> Polygon:
    """Return a polygon as it is, or what the frame shows of one that reaches far beyond."""
    return _clip(polygon, size) if np.abs(polygon).max() > LARGEST_ROUNDED else polygon


def _clip(polygon: Polygon, size: tuple[int, int]) -> Polygon:
    """Cut a polygon off at the edges of the frame, without rounding on the way.

    The polygon is cut by one edge after the other (Sutherland and Hodgman, "Reentrant polygon
    clipping", CACM 1974). Where that leaves pieces apart they hang together along the edges, to and
    fro, which adds nothing to signed areas.

    Args:
        polygon: (N, 2) x, y in pixels.
        size: (width, height) of the frame in pixels.

    Returns:
        (M, 2); M is 0 when the polygon lies outside.
    """
    points = exact(polygon)
    for axis, side in enumerate(size):
        for bound, sign in ((0, 1), (side, -1)):
            points = _clip_by(points, axis, bound, sign)
    return np.array([(float(x), float(y)) for x, y in points]).reshape(-1, 2)


def _clip_by(points: list[_Point], axis: int, bound: int, sign: int) -> list[_Point]:
    """Return the part of a polygon on one side of a line: where sign * (value - bound) >= 0."""
    kept: list[_Point] = []
    for start, end in zip(points, points[1:] + points[:1], strict=True):
        inside = [sign * (point[axis] - bound) >= 0 for point in (start, end)]
        if inside[0]:
            kept.append(start)
        if inside[0] != inside[1]:
            along = (bound - start[axis]) / (end[axis] - start[axis])
            x, y = (a + along * (b - a) for a, b in zip(start, end, strict=True))
            kept.append((x, y))
    return kept


def _coverage(
    segments: Segments, grid: tuple[int, int], extent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the exact coverage by signed areas, as font rasterisers do.

    Every edge is cut at the grid lines it crosses. A piece that falls by dy adds dy to all the
    cells on its right, and dy times the mean width on its right to its own; the pieces of a
    closed outline cancel outside of it and add up to 1 inside.

    Args:
        segments: (M, 2, 2) ends of the edges, x, y in cells, as `outline` gives them.
        grid: (rows, columns).
        extent: (2,) width and height of the frame in cells.

    Returns:
        float64 (rows, columns): the share of each cell's area within the frame, in [0, 1].
    """
    rows, columns = grid
    x_lines = np.minimum(np.arange(columns + 1), extent[0])
    y_lines = np.minimum(np.arange(rows + 1), extent[1])
    if not len(segments):
        return np.zeros(grid)
    ends = [_cut(start, end, x_lines, y_lines) for start, end in segments]
    middle = np.concatenate([(points[1:] + points[:-1]) / 2 for points in ends])
    fall = np.concatenate([np.diff(points[:, 1]) for points in ends])
    inside = (middle[:, 1] > 0) & (middle[:, 1] < extent[1])
    if not inside.any():
        return np.zeros(grid)
    fall, (x, y) = fall[inside], middle[inside].T
    # Pieces beyond the left or right edge still bound what lies inside: move them to the edge.
    x = np.clip(x, 0, extent[0])
    column = np.minimum(x.astype(np.intp), columns - 1)
    place = np.minimum(y.astype(np.intp), rows - 1) * columns + column
    own = np.bincount(place, fall * (x_lines[column + 1] - x), rows * columns)
    right = np.cumsum(np.bincount(place, fall, rows * columns).reshape(grid), axis=1)
    area = own.reshape(grid)
    area[:, 1:] += right[:, :-1] * np.diff(x_lines)[1:]
    return np.clip(area / np.outer(np.diff(y_lines), np.diff(x_lines)), 0, 1)


def _cut(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    x_lines: NDArray[np.float64],
    y_lines: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (M, 2) points along an edge: its ends and its crossings of grid lines, in order."""
    step = end - start
    cuts = [np.array([0.0, 1.0])]
    for axis, lines in enumerate((x_lines, y_lines)):
        # An edge as level as this moves no area that could be seen, and 1 / step may overflow.
        if abs(step[axis]) > 1e-12:
            along = (lines - start[axis]) / step[axis]
            cuts.append(along[(along > 0) & (along < 1)])
    return start + np.sort(np.concatenate(cuts))[:, None] * step
