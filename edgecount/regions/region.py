"""Named regions of the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount._documents import shown
from edgecount.errors import ConfigError

Polygon: TypeAlias = NDArray[np.float64]

# Up to here crossings are rounded by less than a millionth of a pixel.
LARGEST_ROUNDED = 1e6
# Shares beyond this many frames are pixels by mistake.
LARGEST_SHARE = 10.0


class Region:
    """A named polygon, in source pixels or in shares of the frame's sides.

    The image spans [0, width] x [0, height], and pixel (i, j) covers [j, j + 1) x [i, i + 1).
    The polygon closes by itself and may run either way round; parts outside the frame are
    ignored. Where a polygon winds around a place twice the place counts once.

    Args:
        name: how the region is called in results; not empty.
        polygon: (N, 2) array or sequence of x, y in source pixels; N >= 3.
        fractions: x and y are shares of the frame's width and height, 0 to 1, so that the region
            holds at any size of the frame; those of ``excluded`` too.
        excluded: polygons whose area is left out of the region, such as a screen that shows
            people.

    Attributes:
        name: the name.
        polygon: float64 (N, 2), read-only, as it was given.
        fractions: whether coordinates are shares.
        excluded: polygons that are left out, float64 (N, 2), read-only.

    Raises:
        ConfigError: no name, fewer than three points, no area, a coordinate that is not a finite
            number, or shares and pixels are mistaken for each other.
    """

    __slots__ = ("excluded", "fractions", "name", "polygon")

    def __init__(
        self,
        name: str,
        polygon: ArrayLike,
        *,
        fractions: bool = False,
        excluded: Sequence[ArrayLike] = (),
    ) -> None:
        self.name = _check_name(name)
        self.fractions = bool(fractions)
        self.polygon = _check_polygon(f"region {name!r}", polygon, fractions=self.fractions)
        self.excluded = check_excluded(f"region {name!r}", excluded, fractions=self.fractions)

    def __repr__(self) -> str:
        fractions = ", fractions=True" if self.fractions else ""
        excluded = [area.tolist() for area in self.excluded]
        without = f", excluded={excluded}" if excluded else ""
        return f"Region({self.name!r}, {self.polygon.tolist()}{fractions}{without})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Region):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        areas = tuple(_coordinates(area) for area in (self.polygon, *self.excluded))
        return self.name, self.fractions, areas

    def polygon_in(self, size: tuple[int, int]) -> Polygon:
        """Return the polygon in pixels of a frame of (width, height), float64 (N, 2)."""
        return self.polygon * np.array(size, np.float64) if self.fractions else self.polygon

    def excluded_in(self, size: tuple[int, int]) -> tuple[Polygon, ...]:
        """Return what is left out, in pixels of a frame of (width, height)."""
        if not self.fractions:
            return self.excluded
        return tuple(area * np.array(size, np.float64) for area in self.excluded)

    def in_size(self, size: tuple[int, int]) -> Region:
        """Return the region in pixels of a frame of (width, height)."""
        if not self.fractions:
            return self
        return computed_region(self.name, self.polygon_in(size), self.excluded_in(size))

    def renamed(self, name: str) -> Region:
        """Return the same region with another name."""
        if not self.fractions:  # it may be one that was computed, and lie within a pixel
            return computed_region(name, self.polygon, self.excluded)
        return Region(name, self.polygon, fractions=self.fractions, excluded=self.excluded)


RegionsLike: TypeAlias = Mapping[str, "ArrayLike | Region"] | Sequence[Region]


def computed_region(name: str, polygon: ArrayLike, excluded: Sequence[ArrayLike] = ()) -> Region:
    """Return a region in pixels that nobody typed, so that it may lie within a single one.

    Args:
        name: see `Region`, as the others.
        polygon: (N, 2) x, y.
        excluded: polygons whose area is left out.

    Raises:
        ConfigError: see `Region`.
    """
    found = Region.__new__(Region)
    found.name, found.fractions = _check_name(name), False
    found.polygon = _read_polygon(f"region {name!r}", polygon)
    found.excluded = tuple(_read_polygon(f"region {name!r}: excluded", one) for one in excluded)
    return found


def read_regions(regions: RegionsLike | None) -> tuple[Region, ...]:
    """Return the regions of a mapping of name to polygon (or Region), or of a sequence of Region.

    Raises:
        ConfigError: two regions have one name, or a polygon makes no sense.
    """
    if regions is None:
        return ()
    if isinstance(regions, Mapping):
        return tuple(
            value.renamed(name) if isinstance(value, Region) else Region(name, value)
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


def check_excluded(
    whose: str, excluded: Sequence[ArrayLike], *, fractions: bool = False
) -> tuple[Polygon, ...]:
    """Return areas that are left out, each as a checked polygon.

    Raises:
        ConfigError: one of them makes no sense, or they are no sequence of polygons.
    """
    try:
        areas = list(excluded)
    except TypeError:
        areas = []
    else:
        if not areas:
            return ()
    if not areas or isinstance(excluded, str) or any(not _is_point(_first(area)) for area in areas):
        raise ConfigError(
            f"{whose}: excluded: expected polygons, a list for each, got {shown(excluded)}"
        )
    return tuple(
        _check_polygon(f"{whose}: excluded area {place}", area, fractions=fractions)
        for place, area in enumerate(areas, 1)
    )


def check_shares(what: str, points: Polygon) -> None:
    """Refuse shares of a frame's sides that are pixels by mistake.

    Raises:
        ConfigError: a coordinate is beyond ten frames.
    """
    most = float(np.abs(points).max())
    if most > LARGEST_SHARE:
        raise ConfigError(
            f"{what}: expected shares of the frame's width and height, 0 to 1 (0% to 100%), got "
            f"{most:g}; pixels go without fractions (and without %)"
        )


def refuse_shares(what: str, points: Polygon) -> None:
    """Refuse pixels that are shares of a frame's sides by mistake.

    Raises:
        ConfigError: all points lie within the first pixel.
    """
    if look_like_shares(points):
        raise ConfigError(
            f"{what}: expected pixels, got {shown(points.tolist())}, a pixel at most: for shares "
            "of width and height give fractions=True, or percent on the command line"
        )


def look_like_shares(points: Polygon) -> bool:
    """Return whether points in pixels all lie within one pixel, as shares given by mistake do."""
    return bool(0 <= points.min() <= points.max() <= 1)


def _check_name(name: object) -> str:
    if not (isinstance(name, str) and name.strip()):
        raise ConfigError(f"a region needs a name, a text, got {shown(name)}")
    return name


def exact(points: Polygon) -> list[tuple[Fraction, Fraction]]:
    """Return points without rounding in what is computed of them."""
    return [(Fraction(x), Fraction(y)) for x, y in points.tolist()]


def _is_point(value: Any) -> bool:
    return np.ndim(value) == 1


def _first(area: object) -> object:
    """Return a polygon's first point, or None where there is none."""
    try:
        return next(iter(area), None)  # type: ignore[call-overload]
    except TypeError:
        return None


def _coordinates(polygon: Polygon) -> tuple[float, ...]:
    """Return coordinates whose equality is that of the numbers: 0 is -0."""
    return tuple(polygon.ravel().tolist())


def _check_polygon(whose: str, polygon: ArrayLike, *, fractions: bool) -> Polygon:
    points = _read_polygon(whose, polygon)
    if fractions:
        check_shares(whose, points)
    else:
        refuse_shares(whose, points)
    return points


def _read_polygon(whose: str, polygon: ArrayLike) -> Polygon:
    if np.ma.is_masked(polygon):
        raise ConfigError(f"{whose}: some of its coordinates are masked: leave them out")
    try:
        points = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{whose}: expected points (x, y), got {shown(polygon)}") from None
    is_list = points.ndim == 2 and points.shape[1] == 2
    if not is_list or len(points) < 3:
        number = f"{len(points)} point{'' if len(points) == 1 else 's'}" if is_list else ""
        got = number or f"an array of shape {points.shape}"
        raise ConfigError(f"{whose}: expected three or more points (x, y), got {got}")
    if not np.isfinite(points).all():
        raise ConfigError(f"{whose}: every coordinate must be a finite number")
    if not _has_area(points):
        raise ConfigError(f"{whose}: its points lie on one line, so it has no area")
    points.flags.writeable = False
    return points


def _has_area(points: Polygon) -> bool:
    """Return whether the points lie on more than one line."""
    if np.abs(points).max() <= LARGEST_ROUNDED:
        return bool(np.linalg.matrix_rank(points - points[0]) == 2)
    # Between numbers so large, what is wide on the frame is lost to rounding.
    (x0, y0), *others = exact(points)
    steps = [(x - x0, y - y0) for x, y in others]
    dx, dy = next((step for step in steps if any(step)), (Fraction(0), Fraction(0)))
    return any(dx * y != dy * x for x, y in steps)
