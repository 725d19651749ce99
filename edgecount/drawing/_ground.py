"""The part of the ground that a map shows, turned as the camera sees it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgecount.analytics import GroundPlane

Extent = tuple[float, float, float, float]
Array = NDArray[np.float64]

# A pixel that covers so many times the length of one at the frame's lower edge is too far away.
_COARSEST = 8.0
_SAMPLES = 48  # along each side of the frame


@dataclass(frozen=True, eq=False)
class GroundView:
    """The ground that a map from above shows.

    Attributes:
        plane: the ground plane.
        extent: left, near, right and far end of the map, in metres of the plane; None: what the
            camera sees of it, as far as one can tell people apart there.
        marked: (N, 2) corners of a piece of ground to outline, in metres, such as the rectangle
            that the plane was made from; None: nothing.
        kind: whose levels of service are shown: "walkway" for people who walk, "queue" for people
            who stand.

    Raises:
        ConfigError: the extent has no area.
    """

    plane: GroundPlane
    extent: Extent | None = None
    marked: NDArray[np.float64] | None = field(default=None)
    kind: Literal["walkway", "queue"] = "walkway"

    def __post_init__(self) -> None:
        if self.extent is not None:
            from edgecount.analytics.ground import check_extent

            check_extent(self.extent)

    @functools.cached_property
    def upright(self) -> GroundView:
        """View with x to the camera's right and y away from it, whichever way the plane runs."""
        turn = _turn(self.plane)
        whole = np.eye(3)
        whole[:2, :2] = turn
        plane = replace(self.plane, matrix=whole @ self.plane.matrix)
        if self.extent is None:
            extent = _seen(plane)
        else:
            left, near, right, far = self.extent
            corners = np.array([(left, near), (right, far)]) @ turn.T
            (left, near), (right, far) = corners.min(axis=0), corners.max(axis=0)
            extent = (float(left), float(near), float(right), float(far))
        marked = None if self.marked is None else self.marked @ turn.T
        return GroundView(plane, extent, marked, self.kind)

    @functools.cached_property
    def ends(self) -> Extent:
        """Left, near, right and far end in metres."""
        return self.extent or _seen(self.plane)


def _turn(plane: GroundPlane) -> Array:
    """Return a turn by quarters, maybe mirrored: the plane's axes to the camera's right and away.

    Returns:
        float64 (2, 2), one of eight.
    """
    width, height = plane.size
    at = _middle(plane)
    step = max(1.0, max(width, height) / 200)
    places = plane.to_metres(at + np.array([(0, 0), (step, 0), (0, step)]))
    right, away = places[1] - places[0], places[0] - places[2]
    along = abs(right[0]) * abs(away[1]) >= abs(right[1]) * abs(away[0])
    first, second = (0, 1) if along else (1, 0)
    turn = np.zeros((2, 2))
    turn[0, first] = np.sign(right[first]) or 1.0
    turn[1, second] = np.sign(away[second]) or 1.0
    return turn


def _middle(plane: GroundPlane) -> Array:
    """Return a pixel, x and y, in the middle of the ground in view."""
    width, height = plane.size
    rows = np.linspace(0.02, 0.98, 49)[:, None] * height
    pixels = np.column_stack([np.full(len(rows), width / 2), rows])
    ground = pixels[np.isfinite(plane.to_metres(pixels)).all(axis=1)]
    return ground[len(ground) * 2 // 3] if len(ground) else np.array([width / 2, height / 2])


def _seen(plane: GroundPlane) -> Extent:
    """Return the bounds of the ground that is seen well enough, in metres."""
    width, height = plane.size
    x, y = np.meshgrid(np.linspace(0, width, _SAMPLES), np.linspace(0, height, _SAMPLES))
    here = plane.to_metres(np.column_stack([x.ravel(), y.ravel()])).reshape(_SAMPLES, _SAMPLES, 2)
    across = np.linalg.norm(np.diff(here, axis=1), axis=2)[1:]
    deep = np.linalg.norm(np.diff(here, axis=0), axis=2)[:, 1:]
    length = np.sqrt(across * deep)
    finest = np.nanmin(np.where(np.isfinite(length), length, np.nan))
    inside = here[1:, 1:][length <= _COARSEST * finest]
    (left, near), (right, far) = inside.min(axis=0), inside.max(axis=0)
    return float(left), float(near), float(right), float(far)
