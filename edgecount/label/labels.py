"""Head points of a picture, and whether it is done."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

State: TypeAlias = Literal["new", "open", "done", "empty"]
Point: TypeAlias = tuple[float, float]

MOST_POINTS = 50_000  # of a picture


@dataclass(frozen=True)
class Labels:
    """The head points of a picture.

    Attributes:
        state: "new" as long as nobody has touched it, "open" while it is worked on, "done" when
            its heads are all marked, "empty" when nobody is in it.
        points: x and y of the heads in pixels, (0, 0) the upper left corner of the picture.
        size: width and height of the picture in px, upright; None: not known.
    """

    state: State = "new"
    points: tuple[Point, ...] = ()
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.state == "done" and not self.points:
            raise ValueError("a picture without a point cannot be done: is it empty?")
        if self.state in {"new", "empty"} and self.points:
            raise ValueError(f"a picture that is {self.state} has no points")

    @property
    def is_finished(self) -> bool:
        """Whether the picture counts as annotated."""
        return self.state in {"done", "empty"}

    @property
    def revision(self) -> str:
        """A text that is another one for other points or another state."""
        text = json.dumps([self.state, self.points])
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def parse_labels(given: Any, size: tuple[int, int], known: Collection[Point] = ()) -> Labels:
    """Return the labels of a picture as the page sends them.

    Args:
        given: `{"state": ..., "points": [[x, y], ...]}`.
        size: width and height of the picture in px.
        known: points that may stay outside the picture, as `points_outside` returns them.

    Raises:
        ValueError: it is something else, or another point lies outside the picture.
    """
    state = given.get("state") if isinstance(given, dict) else None
    if not isinstance(state, str) or state not in {"new", "open", "done", "empty"}:
        raise ValueError("state: expected new, open, done or empty")
    points = given.get("points")
    if not isinstance(points, list) or len(points) > MOST_POINTS:
        raise ValueError(f"points: expected a list of {MOST_POINTS:,} at most")
    return Labels(cast("State", state), tuple(_point(one, size, known) for one in points), size)


def points_outside(labels: Labels, size: tuple[int, int]) -> list[Point]:
    """Return the points that lie outside a picture, rounded as those of the page are.

    Another program may have written such a head; the rest of its picture can be changed even so.
    """
    return [_rounded(x, y) for x, y in labels.points if not _is_inside(x, y, size)]


def _point(given: Any, size: tuple[int, int], known: Collection[Point]) -> Point:
    fine = isinstance(given, list) and len(given) == 2
    if not fine or not all(type(value) in {int, float} for value in given):
        raise ValueError("points: expected [x, y] in pixels")
    try:
        x, y = (float(value) for value in given)
    except OverflowError:  # of a whole number with hundreds of digits
        x = y = math.inf
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("points: expected finite numbers")
    point = _rounded(x, y)
    if not _is_inside(x, y, size) and point not in known:
        raise ValueError(f"points: {x:g}, {y:g} lies outside the picture ({size[0]}x{size[1]})")
    return point


def _rounded(x: float, y: float) -> Point:
    return round(x, 2), round(y, 2)


def _is_inside(x: float, y: float, size: tuple[int, int]) -> bool:
    # Heads that are cut by the border of the picture may have their centres just outside of it.
    return -_MARGIN <= x <= size[0] + _MARGIN and -_MARGIN <= y <= size[1] + _MARGIN


_MARGIN = 1.0  # px, within which a point still counts as inside
