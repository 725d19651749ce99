"""Regions of the frame and their exact coverage of a map's cells."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount._documents import shown
from edgecount.errors import ConfigError

__all__ = ["Region", "RegionsLike", "parse_region", "rasterise", "read_regions"]

_log = logging.getLogger(__name__)

# Up to here crossings are rounded by less than a millionth of a pixel.
LARGEST_ROUNDED = 1e6

_Point: TypeAlias = "tuple[Fraction, Fraction]"


class Region:
    """A named polygon in source pixels.

    The image spans [0, width] x [0, height], and pixel (i, j) covers [j, j + 1) x [i, i + 1).
    The polygon closes by itself and may run either way round; parts outside the frame are
    ignored. Where a polygon winds around a place twice the place counts once.

    Args:
        name: how the region is called in results; not empty.
        polygon: (N, 2) array or sequence of x, y in source pixels; N >= 3.

    Attributes:
        name: the name.
        polygon: float64 (N, 2), read-only.

    Raises:
        ConfigError: no name, fewer than three points, no area, or a coordinate that is not a
            finite number.
    """

    __slots__ = ("name", "polygon")

    def __init__(self, name: str, polygon: ArrayLike) -> None:
        given: object = name  # which may be anything
        if not (isinstance(given, str) and given.strip()):
            raise ConfigError(f"a region needs a name, a text, got {shown(given)}")
        self.name = name
        self.polygon = _check_polygon(name, polygon)

    def __repr__(self) -> str:
        return f"Region({self.name!r}, {self.polygon.tolist()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Region):
            return NotImplemented
        return self.name == other.name and np.array_equal(self.polygon, other.polygon)

    def __hash__(self) -> int:
        return hash((self.name, self.polygon.tobytes()))


RegionsLike: TypeAlias = Mapping[str, "ArrayLike | Region"] | Sequence[Region]


def parse_region(text: str) -> Region:
    """Read a region from `NAME:x,y;x,y;x,y`, in source pixels, as the CLI's --region takes it.

    Raises:
        ConfigError: the text has another form; the message shows an example.
    """
    # A name may hold colons itself; without any, the name is empty.
    name, _, rest = text.rpartition(":")
    try:
        points = [(float(x), float(y)) for x, y in (pair.split(",") for pair in rest.split(";"))]
    except ValueError:
        points = []
    if not points or not name.strip():
        raise ConfigError(
            f"region: expected NAME:x,y;x,y;x,y such as gate:0,0;640,0;640,240, got {shown(text)}"
        )
    return Region(name.strip(), points)


def read_regions(regions: RegionsLike | None) -> tuple[Region, ...]:
    """Return the regions of a mapping of name to polygon (or Region), or of a sequence of Region.

    Raises:
        ConfigError: two regions have one name, or a polygon makes no sense.
    """
    if regions is None:
        return ()
    if isinstance(regions, Mapping):
        return tuple(
            Region(name, value.polygon if isinstance(value, Region) else value)
            for name, value in regions.items()
        )
    try:
        found = tuple(regions)
    except TypeError:
        raise ConfigError(
            f"regions: expected Region objects or a mapping, got {shown(regions)}"
        ) from None
    for region in found:
        if not isinstance(region, Region):
            raise ConfigError(f"regions: expected Region objects or a mapping, got {shown(region)}")
    names = [region.name for region in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"regions: the name {twice!r} is given twice; names must differ")
    return found


def rasterise(
    regions: Sequence[Region],
    *,
    size: tuple[int, int],
    grid: tuple[int, int],
    cell: tuple[float, float],
) -> NDArray[np.float32]:
    """Return the share of each map cell that each region covers.

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
        polygon = region.polygon
        if np.abs(polygon).max() > LARGEST_ROUNDED:
            polygon = _clip(polygon, size)
        if len(polygon) != 0:
            mask[...] = _coverage(polygon / cells, grid, extent)
        if not mask.any():
            _log.warning(
                "region %r lies outside the %d x %d frame and will count nobody",
                region.name,
                *size,
            )
    return masks


def _check_polygon(name: str, polygon: ArrayLike) -> NDArray[np.float64]:
    if np.ma.is_masked(polygon):
        raise ConfigError(f"region {name!r}: some of its coordinates are masked: leave them out")
    try:
        points = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(
            f"region {name!r}: expected points (x, y), got {shown(polygon)}"
        ) from None
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ConfigError(
            f"region {name!r}: expected three or more points (x, y), "
            f"got an array of shape {points.shape}"
        )
    if not np.isfinite(points).all():
        raise ConfigError(f"region {name!r}: every coordinate must be a finite number")
    if not _has_area(points):
        raise ConfigError(f"region {name!r}: its points lie on one line, so it has no area")
    points.flags.writeable = False
    return points


def _has_area(points: NDArray[np.float64]) -> bool:
    """Return whether the points lie on more than one line."""
    if np.abs(points).max() <= LARGEST_ROUNDED:
        return bool(np.linalg.matrix_rank(points - points[0]) == 2)
    # Between numbers so large, what is wide on the frame is lost to rounding.
    (x0, y0), *others = _exact(points)
    steps = [(x - x0, y - y0) for x, y in others]
    dx, dy = next((step for step in steps if any(step)), (Fraction(0), Fraction(0)))
    return any(dx * y != dy * x for x, y in steps)


def _exact(points: NDArray[np.float64]) -> list[_Point]:
    return [(Fraction(x), Fraction(y)) for x, y in points.tolist()]


def _clip(polygon: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
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
    points = _exact(polygon)
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
    polygon: NDArray[np.float64], grid: tuple[int, int], extent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the exact coverage by signed areas, as font rasterisers do.

    Every edge is cut at the grid lines it crosses. A piece that falls by dy adds dy to all the
    cells on its right, and dy times the mean width on its right to its own; the pieces of a
    closed polygon cancel outside of it and add up to +1 or -1 inside.

    Args:
        polygon: (N, 2) x, y in cells.
        grid: (rows, columns).
        extent: (2,) width and height of the frame in cells.

    Returns:
        float64 (rows, columns): the share of each cell's area within the frame, in [0, 1].
    """
    rows, columns = grid
    x_lines = np.minimum(np.arange(columns + 1), extent[0])
    y_lines = np.minimum(np.arange(rows + 1), extent[1])
    edges = zip(polygon, np.roll(polygon, -1, axis=0), strict=True)
    ends = [_cut(start, end, x_lines, y_lines) for start, end in edges]
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
    return np.clip(np.abs(area) / np.outer(np.diff(y_lines), np.diff(x_lines)), 0, 1)


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
