"""The ground plane from a rectangle that is marked in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount._documents import shown
from edgecount.analytics.ground import GroundPlane
from edgecount.errors import ConfigError
from edgecount.regions import parse_points, refuse_shares

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroundRectangle:
    """A rectangle on the ground of known sides, marked in the picture.

    Attributes:
        corners: float64 (4, 2) x, y in order around it.
        width: metres from the first to the second corner.
        depth: metres from the second to the third.
        fractions: whether the corners are shares of the frame's width and height, not pixels.

    Raises:
        ConfigError: the corners are shares where pixels are expected.
    """

    corners: Array
    width: float
    depth: float
    fractions: bool = False

    def __post_init__(self) -> None:
        if not self.fractions:
            refuse_shares("ground", self.corners)

    def in_size(self, size: tuple[int, int]) -> GroundPlane:
        """Return the plane for frames of (width, height) in pixels; see `from_rectangle`.

        Raises:
            ConfigError: the corners or the lengths make no sense.
        """
        corners = self.corners * np.array(size, np.float64) if self.fractions else self.corners
        return GroundPlane.from_rectangle(corners, self.width, self.depth, size)


def parse_ground(text: str) -> GroundRectangle:
    """Read a rectangle from `x,y;x,y;x,y;x,y=WIDTHxDEPTH`, as the CLI's --ground takes it.

    Coordinates are source pixels or, where every number ends in %, percent of the frame's width
    and height; lengths are metres. WIDTH is from the first to the second corner, DEPTH from the
    second to the third.

    Raises:
        ConfigError: the text has another form, the message shows an example; or the corners and
            lengths make no rectangle.
    """
    corners, _, sides = text.partition("=")
    points, fractions = parse_points(corners)
    try:
        width, depth = map(float, sides.lower().split("x"))
    except ValueError:
        width = depth = 0.0
    if len(points) != 4 or not depth:
        raise ConfigError(
            "ground: expected x,y;x,y;x,y;x,y=WIDTHxDEPTH with metres, such as "
            "190,290;450,290;640,480;0,480=6x9, or with each x and y in percent, got "
            f"{shown(text)}"
        )
    found = GroundRectangle(points, width, depth, fractions)
    try:
        found.in_size((1, 1))  # convex at one size is convex at any
    except ConfigError as error:
        raise ConfigError(f"ground: {error}") from None
    return found
