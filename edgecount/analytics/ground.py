"""The ground in view: where people stand in metres, and how many there are per square metre."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount._documents import shown
from edgecount._numbers import is_finite
from edgecount.analytics._checks import check_size
from edgecount.analytics._heights import ground_under
from edgecount.errors import ConfigError
from edgecount.regions import Region, computed_region, refuse_shares
from edgecount.regions.outline import outline, trapezoids
from edgecount.result import CountResult

Array = NDArray[np.float64]

# Least area of a person in square feet at levels A to E; sources in `level_of_service`.
_FRUIN = {"walkway": (35, 25, 15, 10, 5), "queue": (13, 10, 7, 3, 2)}
_SQUARE_FOOT = 0.3048**2
_SAMPLES = 4  # points along each side of a density cell that is spread over the ground
_MOST_CELLS = 4_000_000  # of a map
_LEAST_PEOPLE = 2  # whose heights give a ground


def level_of_service(
    people_per_m2: float, kind: Literal["walkway", "queue"] = "walkway"
) -> Literal["A", "B", "C", "D", "E", "F"]:
    """Return Fruin's level of service, from A (free) to F (at a standstill).

    Walkways: Fruin, "Designing for Pedestrians: A Level-of-Service Concept", Highway Research
    Record 355, 1971; queues and waiting areas: Fruin, "Pedestrian Planning and Design", 1971. Both
    are in square feet a person; least square metres of A to E: walkways 3.25, 2.32, 1.39, 0.93,
    0.46 (35, 25, 15, 10, 5 square feet); queues 1.21, 0.93, 0.65, 0.28, 0.19 (13, 10, 7, 3, 2).

    Args:
        people_per_m2: people per square metre, 0 or more.
        kind: ``walkway`` for people who walk, ``queue`` for people who stand.

    Raises:
        ConfigError: the density is negative or NaN, or the kind is another.
    """
    if kind not in _FRUIN:
        raise ConfigError(f"kind: expected walkway or queue, got {kind!r}")
    if not people_per_m2 >= 0:
        raise ConfigError(f"people_per_m2: expected 0 or more, got {people_per_m2!r}")
    area = math.inf if people_per_m2 == 0 else 1 / people_per_m2
    levels: tuple[Literal["A", "B", "C", "D", "E"], ...] = ("A", "B", "C", "D", "E")
    for level, feet in zip(levels, _FRUIN[kind], strict=True):
        if area >= feet * _SQUARE_FOOT:
            return level
    return "F"


def level_limits(kind: Literal["walkway", "queue"] = "walkway") -> tuple[float, ...]:
    """Return the people per square metre above which levels B to F begin; see `level_of_service`.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in _FRUIN:
        raise ConfigError(f"kind: expected walkway or queue, got {kind!r}")
    return tuple(1 / (feet * _SQUARE_FOOT) for feet in _FRUIN[kind])


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The plane that people stand on, as one camera sees it.

    Attributes:
        matrix: (3, 3) homography from pixels of the frame to metres on the ground, x to the right
            and y away from the camera where the plane was made from people's heights, along the
            rectangle's sides where it was made from one. Its last row times (x, y, 1) is above 0
            where there is ground, and 0 at the horizon.
        size: (width, height) of the frame in pixels that the matrix is for.
    """

    matrix: Array
    size: tuple[int, int]

    @classmethod
    def from_rectangle(
        cls, corners: ArrayLike, width: float, depth: float, size: tuple[int, int]
    ) -> GroundPlane:
        """Return the plane in which four points of the picture are a rectangle of known sides.

        Paving, a pitch, a zebra crossing or four people who stand at its corners will do. Heads
        appear above the ground, farther from the camera: for densities of heads mark the corners at
        the height of heads.

        Args:
            corners: (4, 2) x, y in pixels, in order around the rectangle.
            width: length of the side from the first to the second corner, in metres.
            depth: length of the side from the second to the third, in metres.
            size: (width, height) of the frame in pixels.

        Raises:
            ConfigError: there are not four corners of a convex quadrilateral, they are shares of
                the frame's sides, or a length is not above 0.
        """
        seen, frame = _points("corners", corners), check_size(size)
        if len(seen) != 4:
            raise ConfigError(f"corners: expected 4 points, got {len(seen)}")
        if frame != (1, 1):
            refuse_shares("corners", seen)
        for name, length in (("width", width), ("depth", depth)):
            if not (is_finite(length) and length > 0):
                raise ConfigError(f"{name}: expected metres above 0, got {length!r}")
        sides = np.roll(seen, -1, axis=0) - seen
        turns = _cross(sides, np.roll(sides, -1, axis=0))
        if not ((turns > 0).all() or (turns < 0).all()):
            raise ConfigError(
                "corners: expected a convex quadrilateral, in order around it, no three in a line"
            )
        metres = np.array([[0, 0], [width, 0], [width, depth], [0, depth]], np.float64)
        matrix = _homography(seen, metres)
        return cls(matrix * np.sign(matrix[2] @ (*seen[0], 1)), frame)

    @classmethod
    def from_heights(
        cls,
        feet: ArrayLike,
        heads: ArrayLike,
        size: tuple[int, int],
        *,
        field_of_view: float,
        height: float = 1.7,
    ) -> GroundPlane:
        """Return the plane that people of known height stand on, seen by a camera without roll.

        Nearer people look taller, and from above they look shorter: how far the camera looks down,
        and how high it hangs, are those with which everybody is as tall as the others. Distances,
        and areas with them, depend on the angle of view. The farther apart people are, nearer and
        farther off, the better, and the more of them the less their own heights matter. For whole
        pictures, not parts of them, of cameras that look down by less than some 45 degrees; from
        higher up, use a rectangle.

        Args:
            feet: (N, 2) x, y in pixels where people's feet are, N >= 2.
            heads: (N, 2) x, y of the tops of their heads.
            size: (width, height) of the frame in pixels.
            field_of_view: the camera's horizontal angle of view, in degrees, by its data sheet.
            height: mean height of the people, in metres.

        Raises:
            ConfigError: there are too few people, they are all in one row, a head is below its
                feet, or the heights do not grow towards the camera.
        """
        low, high = _points("feet", feet), _points("heads", heads)
        if len(low) != len(high) or len(low) < _LEAST_PEOPLE:
            raise ConfigError(
                f"feet, heads: expected as many of both, {_LEAST_PEOPLE} or more, got {len(low)} "
                f"and {len(high)}"
            )
        if not (is_finite(field_of_view) and 1 < field_of_view < 170):
            raise ConfigError(f"field_of_view: expected degrees, 1 to 170, got {field_of_view!r}")
        if not (is_finite(height) and height > 0):
            raise ConfigError(f"height: expected metres above 0, got {height!r}")
        tall = low[:, 1] - high[:, 1]
        if (tall <= 0).any():
            raise ConfigError("heads: expected each above its feet in the picture")
        if np.ptp(low[:, 1]) < 1:
            raise ConfigError("feet: expected people at different distances, got all in one row")
        if np.polyfit(low[:, 1], tall, 1)[0] <= 0:
            raise ConfigError("heads: expected nearer people to look taller than those farther off")
        frame = check_size(size)
        focal = frame[0] / 2 / math.tan(math.radians(field_of_view) / 2)
        return cls(ground_under(low[:, 1], high[:, 1], height, focal, frame), frame)

    def to_metres(self, points: ArrayLike) -> Array:
        """Return where points of the picture are on the ground.

        Args:
            points: (N, 2) x, y in pixels; further columns, such as scores, are left out.

        Returns:
            (N, 2) x, y in metres; NaN for points on the horizon or above it.
        """
        given = np.asarray(points, np.float64)
        seen = given[:, :2] if given.ndim == 2 and given.shape[1] > 2 else _points("points", points)
        mapped = np.column_stack([seen, np.ones(len(seen))]) @ self.matrix.T
        return _seen_places(mapped, 1e-9 * float(abs(self.matrix[2]).max()))

    def to_pixels(self, points: ArrayLike) -> Array:
        """Return where points on the ground, (N, 2) in metres, are in the picture.

        Returns:
            (N, 2) x, y in pixels; NaN for points behind the camera.
        """
        places = _points("points", points)
        mapped = np.column_stack([places, np.ones(len(places))]) @ np.linalg.inv(self.matrix).T
        return _seen_places(mapped, 0.0)

    def area(self, region: Region | ArrayLike) -> float:
        """Return the square metres of ground that a region of the picture covers.

        What it excludes is left out, and so is what reaches beyond the frame, where nobody is
        counted.

        Args:
            region: the region, in pixels or in shares of the frame; or (N, 2) x, y of its corners
                in pixels, N >= 3. Where it winds around a place, either way and however often, is
                inside.

        Raises:
            ConfigError: it makes no sense, or reaches to the horizon or above it.
        """
        region = region if isinstance(region, Region) else computed_region("polygon", region)
        corners = region.polygon_in(self.size)
        (left, top), (right, bottom) = corners.min(axis=0) - 1, corners.max(axis=0) + 1
        width, height = self.size
        beyond = [
            _box(left, top, min(0, right), bottom),
            _box(max(width, left), top, right, bottom),
            _box(left, top, right, min(0, bottom)),
            _box(left, max(height, top), right, bottom),
        ]
        seen = outline(corners, [*region.excluded_in(self.size), *beyond])
        return self._outlined(f"region {region.name}", seen)

    def _outlined(self, name: str, segments: Array) -> float:
        """Return the square metres of ground that an outline in the picture bounds."""
        corners = trapezoids(segments)
        ground = self.to_metres(corners.reshape(-1, 2)).reshape(corners.shape)
        if np.isnan(ground).any():
            raise ConfigError(
                f"{name}: expected corners below the horizon, where there is ground: lower it"
            )
        # Lines stay lines, so that the corners of each trapezoid tell all.
        x, y = ground[..., 0], ground[..., 1]
        turns = x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)
        return float(np.abs(turns.sum(axis=1)).sum()) / 2

    def people_per_m2(
        self,
        region: Region | ArrayLike,
        count: float,
        interval: tuple[float, float] | None = None,
    ) -> tuple[float, tuple[float, float] | None]:
        """Return people per square metre in a region of the picture, with its likely range.

        Args:
            region: see `area`.
            count: people inside, such as those of a region.
            interval: likely range of the count.

        Raises:
            ConfigError: see `area`; or none of its ground is in the frame.
        """
        area = self.area(region)
        if not area:
            name = region.name if isinstance(region, Region) else "polygon"
            raise ConfigError(f"region {name}: expected some ground in the frame, got none")
        ends = None if interval is None else (interval[0] / area, interval[1] / area)
        return count / area, ends

    def map_density(
        self,
        result: CountResult,
        extent: tuple[float, float, float, float],
        cell: float = 0.5,
    ) -> NDArray[np.float32]:
        """Return a map of the ground seen from above, in people per square metre.

        Each cell of the density is spread evenly over the ground that it covers. Times the cells'
        area the map sums to the people of the density that are inside the extent.

        Args:
            result: a result with a density map.
            extent: left, near, right and far end of the map, in metres.
            cell: side of the map's square cells, in metres.

        Returns:
            float32 (h, w); row 0 is the farthest, as on a map that is held towards the crowd.

        Raises:
            ConfigError: the result has no density or is of another frame size, or the extent has
                no area.
        """
        left, near, right, far = check_extent(extent)
        if not (is_finite(cell) and cell > 0):
            raise ConfigError(f"cell: expected metres above 0, got {cell!r}")
        if result.size != self.size:
            raise ConfigError(f"result: expected frames of {self.size}, got {result.size}")
        if not result.density.size:
            raise ConfigError(f"result: expected a density map, and {result.model} gives none")
        rows, columns = math.ceil((far - near) / cell), math.ceil((right - left) / cell)
        if rows * columns > _MOST_CELLS:
            raise ConfigError(
                f"cell: expected larger ones: {rows} x {columns} would cover the extent, and "
                f"{_MOST_CELLS} may"
            )
        points, people = _spread(result)
        ground = self.to_metres(points)
        with np.errstate(invalid="ignore"):
            column = np.floor((ground[:, 0] - left) / cell)
            row = np.floor((far - ground[:, 1]) / cell)
            # The last cells reach beyond an extent that is no multiple of theirs.
            inside = (ground[:, 0] < right) & (ground[:, 1] > near)
            inside &= (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        cells = (row[inside] * columns + column[inside]).astype(np.int64)
        sums = np.bincount(cells, people[inside], rows * columns)
        return (sums.reshape(rows, columns) / cell**2).astype(np.float32)


def check_extent(
    extent: tuple[float, float, float, float],
) -> tuple[float, float, float, float]:
    """Return the left, near, right and far end of a map, in metres.

    Raises:
        ConfigError: they are none, or hold no area.
    """
    given: object = extent  # which may be anything
    ends = tuple(given) if isinstance(given, Iterable) else ()
    if not (len(ends) == 4 and is_finite(*ends) and ends[0] < ends[2] and ends[1] < ends[3]):
        raise ConfigError(
            "extent: expected left, near, right and far end in metres, left < right and near < "
            f"far, got {extent!r}"
        )
    left, near, right, far = ends
    return left, near, right, far


def _box(left: float, top: float, right: float, bottom: float) -> Array:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def _seen_places(mapped: Array, least: float) -> Array:
    """Return (N, 2) places of homogeneous (N, 3) ones; NaN for those with a weight too small."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = mapped[:, :2] / mapped[:, 2:]
    found[~(mapped[:, 2] > least)] = np.nan
    return found


def _spread(result: CountResult) -> tuple[Array, Array]:
    """Return points all over the density's cells, (N, 2) px, and the people of each, (N,)."""
    rows, columns = result.density.shape
    wide, tall = result.density_stride_xy
    steps = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    y = ((np.arange(rows)[:, None] + steps) * tall).ravel()
    x = ((np.arange(columns)[:, None] + steps) * wide).ravel()
    people = np.repeat(np.repeat(result.density, _SAMPLES, 0), _SAMPLES, 1) / _SAMPLES**2
    points = np.stack(np.broadcast_arrays(x[None], y[:, None]), axis=2).reshape(-1, 2)
    return points, people.astype(np.float64).ravel()


def _homography(pixels: Array, metres: Array) -> Array:
    """Return the (3, 3) matrix that maps four points exactly onto four others."""
    # Centred and scaled, so that the equations are well conditioned (Hartley 1997).
    middle, scale = pixels.mean(0), max(float(np.ptp(pixels)), 1e-9)
    rows = []
    for (x, y), (u, v) in zip((pixels - middle) / scale, metres, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    table = np.array(rows)
    found = np.linalg.solve(table[:, :8], table[:, 8])
    centred = np.array(
        [[1 / scale, 0, -middle[0] / scale], [0, 1 / scale, -middle[1] / scale], [0, 0, 1]]
    )
    matrix: Array = np.append(found, 1).reshape(3, 3) @ centred
    return matrix


def _points(name: str, values: ArrayLike) -> Array:
    try:
        points = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ConfigError(f"{name}: expected x, y of every point, got {shown(values)}")
    if not np.isfinite(points).all():
        raise ConfigError(f"{name}: expected finite numbers, got NaN or infinity")
    return points


def _cross(a: Array, b: Array) -> Array:
    product: Array = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product
