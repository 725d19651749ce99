"""Lines across the picture, with a direction."""

from __future__ import annotations

import copy
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount._documents import shown
from edgecount.errors import ConfigError
from edgecount.regions import check_shares, parse_points, refuse_shares

Array = NDArray[np.float64]


class Line:
    """A line across which people are counted.

    Walk from its start to its end: who goes from your left to your right goes in.

    Args:
        name: how it is called in results.
        start: x, y in pixels of the frame.
        end: x, y of its other end.
        fractions: x and y are shares of the frame's width and height, 0 to 1, so that the line
            holds at any size of the frame.

    Attributes:
        name: the name.
        start: float64 (2,), as it was given.
        end: float64 (2,).
        fractions: whether the coordinates are shares.

    Raises:
        ConfigError: it has no name, no length, a coordinate is not finite, or shares and pixels
            are mistaken for each other.
    """

    def __init__(
        self, name: str, start: ArrayLike, end: ArrayLike, *, fractions: bool = False
    ) -> None:
        if not str(name).strip():
            raise ConfigError(f"line: expected a name, got {name!r}")
        self.name = name
        self.fractions = bool(fractions)
        ends = np.array([_end(name, start), _end(name, end)])
        if (ends[0] == ends[1]).all():
            raise ConfigError(
                f"line {name}: expected two different ends, got {ends[0].tolist()} twice"
            )
        if self.fractions:
            check_shares(f"line {name}", ends)
        else:
            refuse_shares(f"line {name}", ends)
        self._lay(ends)

    def _lay(self, ends: Array) -> None:
        self.start: Array = ends[0]
        self.end: Array = ends[1]
        self.length = math.hypot(*(self.end - self.start))  # also of the tiniest way above 0
        self._along: Array = (self.end - self.start) / self.length
        # To the right of somebody who walks along it; y points down.
        self.inwards = np.array([-self._along[1], self._along[0]])

    def __repr__(self) -> str:
        fractions = ", fractions=True" if self.fractions else ""
        return f"Line({self.name!r}, {self.start.tolist()}, {self.end.tolist()}{fractions})"

    def in_size(self, size: tuple[int, int]) -> Line:
        """Return the line in pixels of a frame of (width, height)."""
        if not self.fractions:
            return self
        # A copy, for in a frame of a pixel its ends are no pixel apart, which is refused else.
        drawn = copy.copy(self)
        drawn.fractions = False
        drawn._lay(np.array([self.start, self.end]) * np.array(size, np.float64))
        return drawn

    def side(self, points: Array) -> Array:
        """Return how far (N, 2) points are beyond the line, in pixels; inwards is above 0.

        Raises:
            ConfigError: the line is one in shares: see `in_size`.
        """
        self._check_pixels()
        distances: Array = (points - self.start) @ self.inwards
        return distances

    def beside(self, points: Array) -> NDArray[np.bool_]:
        """Return whether (N, 2) points are abreast of the line, neither before nor behind it.

        Raises:
            ConfigError: the line is one in shares: see `in_size`.
        """
        self._check_pixels()
        along = (points - self.start) @ self._along
        return (along >= 0) & (along <= self.length)

    def _check_pixels(self) -> None:
        if self.fractions:
            raise ConfigError(f"line {self.name}: expected one in pixels: take its in_size(...)")


def parse_line(text: str) -> Line:
    """Read a line from `NAME:x,y;x,y`, its start and its end, as the CLI's --line takes it.

    Coordinates are source pixels or, where every number ends in %, percent of the frame's width
    and height.

    Raises:
        ConfigError: the text has another form; the message shows an example.
    """
    name, _, rest = text.rpartition(":")
    points, fractions = parse_points(rest)
    if len(points) != 2 or not name.strip():
        raise ConfigError(
            "line: expected NAME:x,y;x,y such as door:320,480;320,0, or with each number in "
            f"percent such as door:50%,100%;50%,0%, got {shown(text)}"
        )
    return Line(name.strip(), points[0], points[1], fractions=fractions)


def _end(name: str, point: ArrayLike) -> Array:
    try:
        end = np.array(point, np.float64)
    except (TypeError, ValueError, OverflowError):
        end = np.zeros(0)
    if end.shape != (2,):
        raise ConfigError(f"line {name}: expected x, y of both ends, got {shown(point)}")
    if not np.isfinite(end).all():
        raise ConfigError(f"line {name}: expected finite numbers, got {end.tolist()}")
    end.flags.writeable = False
    return end
