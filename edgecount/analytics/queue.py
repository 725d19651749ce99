"""Queues: how many people wait in one, and how long it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount._numbers import check_seconds, is_finite
from edgecount.analytics._blend import contains
from edgecount.analytics._checks import later
from edgecount.analytics.ground import GroundPlane
from edgecount.analytics.tracks import FoundAgain, Tracker, nearest_pairs
from edgecount.errors import ConfigError, InputError
from edgecount.regions import Region, SizeWatch, check_shares, look_like_shares
from edgecount.result import CountResult

Array = NDArray[np.float64]

_GAP = 0.1  # of the frame's longer side, between two who wait behind each other
_GAP_METRES = 1.5
_HOLD = 2.0  # s for which a place is kept for somebody who is hidden


@dataclass(frozen=True)
class QueueReport:
    """People who wait in a queue.

    Attributes:
        people: people who wait, from the front to the last one; None where heads cannot be told
            apart from frame to frame, so that nothing could be said of a queue.
        length: from the front to the last one along the queue, from head to head: in metres with a
            ground plane, else in pixels; None as above.
        reason: why there is no length; None where there is one.
    """

    people: int | None
    length: float | None
    reason: str | None = None


class Queue:
    """A queue in a region, from its front back, by single heads.

    Somebody waits who has stayed within half a gap of one place for ``wait`` seconds. From the
    front on, everybody who waits within a gap of one in the queue belongs to it, so that it ends
    where the gap is wider; who passes by is not in it. Its length is that of the way back from one
    to the next: lanes of a queue that winds have to be more than a gap apart.

    For queues in which single heads are seen: where fewer than nine in ten are found again from
    frame to frame, or the points are cut off, it says so and gives no length. A crowd in front of
    a gate has none: the density of the region tells how full it is, and `MeanStay` how long people
    wait, however dense it is.

    Args:
        region: where people wait.
        front: x, y of the front of the queue, as at the till, in the region's units.
        gap: widest gap in the queue: in metres with a plane, else in shares of the frame's longer
            side. None: 1.5 m, or a tenth.
        wait: seconds after which somebody who stays waits.
        plane: the ground, at the height of heads, for gaps and lengths in metres.

    Raises:
        ConfigError: a setting makes no sense.
    """

    def __init__(
        self,
        region: Region,
        front: ArrayLike,
        *,
        gap: float | None = None,
        wait: float = 3.0,
        plane: GroundPlane | None = None,
    ) -> None:
        check_seconds("wait", wait)
        try:
            self._front = np.array(front, np.float64)
        except (TypeError, ValueError):
            self._front = np.zeros(0)
        if self._front.shape != (2,) or not np.isfinite(self._front).all():
            raise ConfigError(f"front: expected x, y, finite numbers, got {front!r}")
        if region.fractions:
            check_shares("front", self._front)
        elif look_like_shares(self._front) and self._front.any():
            raise ConfigError(
                f"front: expected pixels, as of the region, got {self._front.tolist()}: for shares "
                "of width and height give the region with fractions=True"
            )
        if gap is not None and not (is_finite(gap) and gap > 0):
            raise ConfigError(f"gap: expected a length above 0, got {gap!r}")
        default = _GAP if plane is None else _GAP_METRES
        self._gap_given = default if gap is None else gap
        self._region, self._wait, self._plane = region, wait, plane
        self._sizes = SizeWatch([region])
        self._time: float | None = None
        self._size: tuple[int, int] | None = None

    def update(self, time: float, result: CountResult) -> QueueReport:
        """Take a frame, and return who waits.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            result: its result, with head points.

        Raises:
            InputError: the time is before the last one, the model gives no head points, or the
                plane is one of frames of another size.
        """
        if result.peak_count is None:
            raise InputError(f"result: expected head points, and {result.model} gives none")
        passed = later(time, self._time)
        self._time = time
        if result.size != self._size:
            self._resize(result.size)
        points = result.points[:, :2].astype(np.float64)
        points = points[contains(self._drawn, points, result.size)]
        self._found.add(passed, len(self._tracker.update(time, points).ids), len(points))
        self._settle(time, self._on_ground(points))
        if result.overflow:
            return QueueReport(None, None, "the points are cut off at the counter's capacity")
        if not self._found.enough:
            share = f"{self._found.share:.0%}"
            return QueueReport(None, None, f"{share} of the heads are found again, too few to tell")
        steps = _ways_back(self._till, self._places[time - self._since >= self._wait], self._gap)
        in_queue = steps[np.isfinite(steps)]
        return QueueReport(len(in_queue), float(in_queue.max(initial=0.0)))

    def _resize(self, size: tuple[int, int]) -> None:
        if self._plane is not None and self._plane.size != size:
            raise InputError(f"result: expected frames of {self._plane.size}, got {size}")
        self._sizes.see(size)
        self._size = size
        self._drawn = self._region.in_size(size)
        front = self._front * (np.array(size) if self._region.fractions else 1.0)
        self._till = self._on_ground(front[None])
        if not len(self._till):
            raise ConfigError(f"front: expected a place on the ground, got {self._front.tolist()}")
        self._gap = self._gap_given * (max(size) if self._plane is None else 1.0)
        self._tracker = Tracker(size)
        self._found = FoundAgain()
        self._places, self._anchors = np.zeros((0, 2)), np.zeros((0, 2))
        self._since, self._seen = np.zeros(0), np.zeros(0)

    def _on_ground(self, points: Array) -> Array:
        """Return points in metres where there is a plane; those above the horizon are left out."""
        if self._plane is None:
            return points
        ground = self._plane.to_metres(points)
        known: Array = ground[~np.isnan(ground).any(axis=1)]
        return known

    def _settle(self, time: float, points: Array) -> None:
        """Note who is where, and since when near there."""
        old, new = nearest_pairs(self._places, points, self._gap / 2)
        self._places[old] = points[new]
        self._seen[old] = time
        gone = np.linalg.norm(self._places - self._anchors, axis=1) > self._gap / 2
        self._anchors[gone], self._since[gone] = self._places[gone], time
        fresh = points[np.setdiff1d(np.arange(len(points)), new)]
        kept = time - self._seen <= _HOLD
        now = np.full(len(fresh), time)
        self._places = np.concatenate([self._places[kept], fresh])
        self._anchors = np.concatenate([self._anchors[kept], fresh])
        self._since = np.concatenate([self._since[kept], now])
        self._seen = np.concatenate([self._seen[kept], now])


def _ways_back(front: Array, places: Array, gap: float) -> Array:
    """Return how far each place is from the front, by steps of a gap at most; infinite: not.

    Shortest paths (Dijkstra, "A note on two problems in connexion with graphs", 1959).
    """
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    ways: Array = np.linalg.norm(places - front, axis=1)
    ways[ways > gap] = np.inf
    open_ = np.isfinite(ways)
    done = np.zeros(len(places), bool)
    while open_.any():
        nearest = int(np.where(open_, ways, np.inf).argmin())
        done[nearest] = True
        near = ~done & (apart[nearest] <= gap)
        ways[near] = np.minimum(ways[near], ways[nearest] + apart[nearest][near])
        open_ = np.isfinite(ways) & ~done
    return ways
