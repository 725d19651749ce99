"""How long people stay: in the mean from counts and flows, one by one from head points."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from edgecount._numbers import check_seconds, is_finite
from edgecount.analytics._blend import contains
from edgecount.analytics._checks import check_size, later
from edgecount.analytics.tracks import FoundAgain, Tracker
from edgecount.errors import ConfigError, InputError
from edgecount.regions import Region, SizeWatch
from edgecount.result import CountResult

_ARRIVALS = 10.0  # people that have to come in before a mean says anything
_PARTS = 1000  # of the horizon: moments that are kept, whatever the frame rate
_PATIENCE = 0.7  # s outside of a region, or hidden, after which somebody has left it
_GAP = 0.1  # of the horizon without a count, after which the mean starts anew


class MeanStay:
    """The mean time that people stay in a place, from how many there are and how many come in.

    Little's law (Little, "A Proof for the Queuing Formula L = lambda W", 1961): in the mean over a
    long time the people in a place are those that come in each second, times the seconds that they
    stay. It needs nobody to be recognised, and holds in crowds of any density.

    Args:
        horizon: seconds over which both are averaged; several times the stay itself.

    Raises:
        ConfigError: the horizon is not above 0.
    """

    def __init__(self, horizon: float = 1800.0) -> None:
        check_seconds("horizon", horizon)
        if not horizon:
            raise ConfigError("horizon: expected seconds above 0, got 0")
        self._horizon = horizon
        # Time, people-seconds so far and people that have come in so far.
        self._passed: deque[tuple[float, float, float]] = deque()
        self._time: float | None = None

    def update(self, time: float, count: float | None, *, into: float) -> float | None:
        """Return the mean stay in seconds; None before ten people have come in.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            count: people in the place; None: nothing was counted. After a tenth of the horizon
                without a count the mean starts anew.
            into: people that have come in since any moment, such as `LineCount.into`, added over
                the lines around the place. Where it is counted anew, the mean starts anew.

        Raises:
            InputError: the time is before the last one, or a number is negative or not finite.
        """
        later(time, self._time)
        there = 0.0 if count is None else count
        if not (is_finite(there, into) and there >= 0 and into >= 0):
            raise InputError(f"count, into: expected people, 0 or more, got {count!r}, {into!r}")
        self._time = time
        if count is None:
            return None
        last = self._passed[-1] if self._passed else None
        # Where people turn back on a line it falls as well: by no more than are there.
        fallen = last[2] - into if last else 0.0
        if last and fallen > 1.0 and (fallen > count or fallen > last[2] / 2):
            self._passed.clear()
            last = None
        waited = time - last[0] if last else 0.0
        if waited > _GAP * self._horizon:
            self._passed.clear()
            last = None
        total = (last[1] if last else 0.0) + count * waited
        if len(self._passed) > 1 and last and time - self._passed[-2][0] < self._horizon / _PARTS:
            self._passed.pop()  # the sums are whole without it
        self._passed.append((time, total, into))
        while len(self._passed) > 2 and time - self._passed[1][0] >= self._horizon:
            self._passed.popleft()
        first = self._passed[0]
        arrivals = into - first[2]
        return None if arrivals < _ARRIVALS else (total - first[1]) / arrivals


@dataclass(frozen=True)
class StayReport:
    """How long single people have been in a region.

    Attributes:
        staying: seconds of each head that is there now, longest first; None where heads cannot be
            told apart from frame to frame, so that nothing could be said of single people.
        left: seconds of those that have left since the last report.
        found: share of the heads that are found again in the next frame.
    """

    staying: tuple[float, ...] | None
    left: tuple[float, ...]
    found: float


class Stays:
    """Stays of single people in a region, by head points that are followed.

    For sparse scenes: where fewer than nine in ten heads are found again from frame to frame, in a
    crowd or at a low frame rate, it says so and reports nothing; `MeanStay` holds there. Somebody
    who is hidden for longer than 0.7 s starts anew, so that long stays are rather too short.

    Args:
        region: the region.
        size: (width, height) of the frames in pixels; None: that of the first. Where it changes,
            everybody starts anew; a region in fractions stays where it is in the scene.

    Raises:
        ConfigError: the size is none.
    """

    def __init__(self, region: Region, size: tuple[int, int] | None = None) -> None:
        self._region = region
        self._sizes = SizeWatch([region])
        self._time: float | None = None
        self._size: tuple[int, int] | None = None
        if size is not None:
            self._resize(check_size(size))

    def update(self, time: float, result: CountResult) -> StayReport:
        """Take a frame and return who is in the region for how long.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            result: its result, with head points.

        Raises:
            InputError: the time is before the last one, or the model gives no head points.
        """
        if result.peak_count is None:
            raise InputError(f"result: expected head points, and {result.model} gives none")
        passed = later(time, self._time)
        self._time = time
        if result.size != self._size:
            self._resize(result.size)
        points = result.points[:, :2].astype(np.float64)
        steps = self._tracker.update(time, points)
        inside = contains(self._drawn, steps.now, result.size)
        for number in steps.ids[inside].tolist():
            self._since.setdefault(number, time - passed)
            self._last[number] = time
        # Who stands at the border is in and out by the points' noise alone.
        outside = steps.ids[~inside].tolist()
        past = [number for number in outside if time - self._last.get(number, time) > _PATIENCE]
        gone = [*past, *steps.lost.tolist()]
        left = tuple(
            self._last.pop(number) - self._since.pop(number)
            for number in gone
            if number in self._since
        )
        self._found.add(passed, len(steps.ids), len(points))
        staying = None
        if self._found.enough and not result.overflow:
            staying = tuple(sorted((time - since for since in self._since.values()), reverse=True))
        return StayReport(staying, left, self._found.share)

    def _resize(self, size: tuple[int, int]) -> None:
        self._sizes.see(size)
        self._size = size
        self._drawn = self._region.in_size(size)
        self._tracker = Tracker(size)
        self._since: dict[int, float] = {}  # when each head came in
        self._last: dict[int, float] = {}  # when it was last inside
        self._found = FoundAgain()
