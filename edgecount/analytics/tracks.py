"""Head points followed from frame to frame, by where they are alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount.analytics._checks import later

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

_FASTEST = 0.5  # of the frame's longer side a second: nobody crosses it in less than two seconds
_ROOM = 0.5  # of the way to the nearest neighbour, in which a head is taken for the same
_JITTER = 0.01  # of the longer side, by which a head that stands may seem to move
_LOOSE, _ROUNDS = 0.02, 2  # of the longer side, for heads that nothing else was found for
_STEADY = 0.3  # share of the newest velocity in the one that is kept
_GAP = 5.0  # s without a frame after which nobody is taken for the same
_PATIENCE = 0.7  # s for which a head that is not found is still expected


_AT_ONCE = 1 << 16  # distances
_ENOUGH = 0.9  # share of the heads that have to be found again to speak of single people
_SETTLE = 5.0  # s over which that share is smoothed


class FoundAgain:
    """The share of heads that are found again from frame to frame, over some seconds.

    Attributes:
        share: the share, 0 to 1.
    """

    def __init__(self) -> None:
        self.share = 1.0

    def add(self, passed: float, found: int, heads: int) -> None:
        """Take a frame, some seconds after the one before: heads in it, and those found again."""
        if heads and passed:
            part = -math.expm1(-passed / _SETTLE)
            self.share += part * (min(found / heads, 1.0) - self.share)

    @property
    def enough(self) -> bool:
        """Whether single people can be told apart from frame to frame."""
        return self.share >= _ENOUGH


@dataclass(frozen=True, eq=False)
class Steps:
    """Heads of one frame that were found again, and those that were lost.

    Attributes:
        ids: (M,) number of each head that was found again, the same for the same head.
        before: (M, 2) x, y in pixels where it was last, mostly in the frame before.
        now: (M, 2) x, y in this frame.
        lost: (K,) numbers of heads that are not expected any more.
    """

    ids: Numbers
    before: Array
    now: Array
    lost: Numbers


class Tracker:
    """Heads followed by their positions and velocities; no pictures are compared.

    Each head is expected where its velocity takes it, and is found again in the nearest head that
    has no nearer one, within half of the way to that head's neighbours; those left over are paired
    with what is left near them. In a crowd at ten frames a second that holds while people move by
    less than a head a frame. A head that is missed is expected for 0.7 s where its velocity takes
    it. Where people are denser or frames rarer, tracks break or change from one to another, and
    what counts by them has to bear it.

    Args:
        size: (width, height) of the frames in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._side = float(max(size))
        self._time: float | None = None
        self._next = 0
        self._ids = np.zeros(0, np.int64)
        self._points = np.zeros((0, 2))  # where they were last
        self._velocities = np.zeros((0, 2))  # px a second
        self._seen = np.zeros(0)  # when

    def update(self, time: float, points: NDArray[np.floating]) -> Steps:
        """Follow the heads into a frame.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            points: (N, 2) x, y in pixels; further columns are left out.

        Raises:
            InputError: the time is before the last one.
        """
        gap = later(time, self._time) > _GAP
        self._time = time
        now = np.asarray(points, np.float64)[:, :2]
        waited = time - self._seen
        old = new = np.zeros(0, np.int64)
        if not gap:
            old, new = self._match(self._points + self._velocities * waited[:, None], now, waited)
        steps_before, velocities = self._points[old], np.zeros((len(now), 2))
        moved = np.flatnonzero(waited[old] > 0)
        measured = (now[new] - steps_before)[moved] / waited[old][moved][:, None]
        known = self._velocities[old][moved]
        velocities[new[moved]] = known + _STEADY * (measured - known)
        ids = np.empty(len(now), np.int64)
        fresh = _others(len(now), new)
        ids[new], ids[fresh] = self._ids[old], self._next + np.arange(len(fresh))
        self._next += len(fresh)
        missed = _others(len(self._ids), old)
        late = waited[missed] > _PATIENCE
        lost, kept = missed[late], missed[~late]
        steps = Steps(self._ids[old], steps_before, now[new], self._ids[lost])
        self._ids = np.concatenate([ids, self._ids[kept]])
        self._points = np.concatenate([now, self._points[kept]])
        self._velocities = np.concatenate([velocities, self._velocities[kept]])
        self._seen = np.concatenate([np.full(len(now), time), self._seen[kept]])
        return steps

    def _match(self, expected: Array, now: Array, waited: Array) -> tuple[Numbers, Numbers]:
        """Return the pairs of heads, as indices of the old and of the new ones."""
        jitter = _JITTER * self._side
        old, new = nearest_pairs(expected, now, np.inf)
        reach = np.minimum(_ROOM * _nearest(now)[new], _FASTEST * self._side * waited[old])
        close = _apart(expected[old], now[new]) <= np.maximum(reach, jitter)
        old, new = old[close], new[close]
        # Who is left over is near others. The flow over a line does not depend on who is who, but
        # a head for which none is found takes its step with it.
        speeds = np.linalg.norm(self._velocities, axis=1)
        reach = np.minimum(jitter + speeds * waited, _LOOSE * self._side)
        for _ in range(_ROUNDS):
            left, free = _others(len(expected), old), _others(len(now), new)
            if not len(left) or not len(free):
                break
            more, found = nearest_pairs(expected[left], now[free], np.inf)
            close = _apart(expected[left[more]], now[free[found]]) <= reach[left[more]]
            old = np.concatenate([old, left[more[close]]])
            new = np.concatenate([new, free[found[close]]])
        return old, new


def _others(number: int, taken: Numbers) -> Numbers:
    """Return the indices below a number that are not taken."""
    free = np.ones(number, bool)
    free[taken] = False
    return np.flatnonzero(free)


def _apart(a: Array, b: Array) -> Array:
    """Return the distances of pairs of points, (N,)."""
    distances: Array = np.hypot(a[:, 0] - b[:, 0], a[:, 1] - b[:, 1])
    return distances


def nearest_pairs(before: Array, now: Array, reach: float) -> tuple[Numbers, Numbers]:
    """Return the pairs of (N, 2) and (M, 2) points that are nearest to each other, within reach.

    Returns:
        Indices of the points before, and of those now.
    """
    if not len(before) or not len(now):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    to_now, to_before = np.empty(len(before), np.int64), np.zeros(len(now), np.int64)
    least = np.full(len(now), np.inf)
    for first, squares in _squares(before, now):
        to_now[first : first + len(squares)] = squares.argmin(1)
        nearest = squares.argmin(0)
        found = squares[nearest, np.arange(len(now))]
        nearer = found < least
        to_before[nearer], least[nearer] = first + nearest[nearer], found[nearer]
    old = np.flatnonzero(to_before[to_now] == np.arange(len(before)))
    old = old[least[to_now[old]] <= reach**2]
    return old, to_now[old]


def _nearest(points: Array) -> Array:
    """Return the distance from each point to its nearest neighbour, infinite for a lone one."""
    if len(points) < 2:
        return np.full(len(points), np.inf)
    nearest = np.empty(len(points))
    for first, squares in _squares(points, points):
        rows = np.arange(len(squares))
        squares[rows, first + rows] = np.inf
        nearest[first : first + len(squares)] = squares.min(1)
    return np.sqrt(nearest)


def _squares(a: Array, b: Array) -> Iterator[tuple[int, Array]]:
    """Yield the squared distances of (N, 2) and (M, 2) points, some rows of (N, M) at a time.

    A table of thousands of heads would take hundreds of megabytes, and more time than its parts,
    which stay in the processor's cache.
    """
    step = max(_AT_ONCE // max(len(b), 1), 1)
    for first in range(0, len(a), step):
        part = a[first : first + step]
        across, down = part[:, 0, None] - b[None, :, 0], part[:, 1, None] - b[None, :, 1]
        across *= across
        down *= down
        across += down
        yield first, across
