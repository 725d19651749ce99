"""Head points of a picture, and whether it is done."""

from __future__ import annotations

import hashlib
import json
import math
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


def parse_labels(given: Any, size: tuple[int, int]) -> Labels:
    """Return the labels of a picture as the page sends them.

    Args:
        given: `{"state": ..., "points": [[x, y], ...]}`.
        size: width and height of the picture in px.

    Raises:
        ValueError: it is something else, or a point lies outside the picture.
    """
    state = given.get("state") if isinstance(given, dict) else None
    if not isinstance(state, str) or state not in {"new", "open", "done", "empty"}:
        raise ValueError("state: expected new, open, done or empty")
    points = given.get("points")
    if not isinstance(points, list) or len(points) > MOST_POINTS:
        raise ValueError(f"points: expected a list of {MOST_POINTS:,} at most")
    return Labels(cast("State", state), tuple(_point(one, size) for one in points), size)


def _point(given: Any, size: tuple[int, int]) -> Point:
    fine = isinstance(given, list) and len(given) == 2
    if not fine or not all(type(value) in {int, float} for value in given):
        raise ValueError("points: expected [x, y] in pixels")
    try:
        x, y = (float(value) for value in given)
    except OverflowError:  # of a whole number with hundreds of digits
        x = y = math.inf
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError("points: expected finite numbers")
    # Heads that are cut by the border of the picture may have their centres just outside of it.
    if not (-_MARGIN <= x <= size[0] + _MARGIN and -_MARGIN <= y <= size[1] + _MARGIN):
        raise ValueError(f"points: {x:g}, {y:g} lies outside the picture ({size[0]}x{size[1]})")
    return round(x, 2), round(y, 2)


_MARGIN = 1.0  # px, within which a point still counts as inside
