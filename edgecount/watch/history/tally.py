"""The minute that a camera is in, until it is over."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgecount.watch.history.spans import Span, mean, percentile
from edgecount.watch.history.zones import MINUTE
from edgecount.watch.readings import LineReading, Reading

_HOLD, _LONGEST = 10.0, 300.0  # s for which a count is believed if no other one follows
_INTERVALS = 4  # between readings, which tell how far apart they are
# s ago that a line's counts may have started for all of them to be counted: of a line that is not
# known yet, and of one that is, for cameras with few pictures.
_RECENT, _RESET = 120.0, 3600.0
_MOST = 4096  # stretches of a minute that are kept apart: more than 60 readings a second
_SHORTEST = 0.001  # s, so that every reading has a weight


class Crossed(NamedTuple):
    """Counts of a line when they were last looked at.

    Attributes:
        since: when they started anew, UNIX time in seconds.
        into: people that went in since.
        out: people that went out since.
    """

    since: float
    into: float
    out: float


class Part(NamedTuple):
    """A minute of a camera, or a part of one.

    Attributes:
        spans: its numbers, by series.
        crossed: counts of the lines at its end, by series.
    """

    spans: dict[str, Span]
    crossed: dict[str, Crossed]


class _Level(NamedTuple):
    value: float
    low: float | None = None
    high: float | None = None


@dataclass
class _Series:
    """A series in the minute: its values with the seconds that each held."""

    held: list[tuple[_Level, float]] = field(default_factory=list)
    readings: int = 0

    def span(self, time: int) -> Span:
        seconds = sum(weight for _, weight in self.held)
        values = [level.value for level, _ in self.held]
        return Span(
            time,
            min(seconds, MINUTE),
            self.readings,
            min(values),
            mean((level.value, weight) for level, weight in self.held),
            max(values),
            percentile((level.value, weight) for level, weight in self.held),
            mean((level.low, weight) for level, weight in self.held),
            mean((level.high, weight) for level, weight in self.held),
            None,
            None,
        )


@dataclass
class _Line:
    """A line in the minute: who crossed it, and the seconds for which it was looked at."""

    into: float = 0.0
    out: float = 0.0
    seconds: float = 0.0
    readings: int = 0

    def span(self, time: int) -> Span:
        unknown = (None, None, None, None, None, None)
        return Span(time, min(self.seconds, MINUTE), self.readings, *unknown, self.into, self.out)


class Tally:
    """The minute of a camera: takes its readings, and gives the numbers of what is over.

    A count holds until the camera's next reading, for `hold` seconds at most. A clock that is set
    ends a minute early; another part of the same minute may follow later.

    Of a line that nothing is known of, those who crossed it long ago are left out: they belong to
    no minute. Counts that started later than the noted ones started anew, from nobody.

    Args:
        crossed: counts of the camera's lines by series, as far as they were noted before.
    """

    def __init__(self, crossed: Mapping[str, Crossed]) -> None:
        self._crossed = dict(crossed)
        self._minute: int | None = None
        self._series: defaultdict[str, _Series] = defaultdict(_Series)
        self._line: defaultdict[str, _Line] = defaultdict(_Line)
        self._time = 0.0
        self._levels: dict[str, _Level] = {}  # that hold since that time
        self._lines: list[str] = []
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    @property
    def hold(self) -> float:
        """Seconds for which a count is believed: 10, or more of a camera with few pictures."""
        usual = min(self._intervals) if len(self._intervals) == _INTERVALS else 0.0
        return min(max(_HOLD, 1.5 * usual), _LONGEST)

    def add(self, reading: Reading) -> list[Part]:
        """Take a reading; returns what is over with it."""
        parts = self._hold_until(reading.time)
        parts += self._enter(reading.time)
        if self._time and reading.time > self._time:
            self._intervals.append(reading.time - self._time)
        if any(len(one.held) >= _MOST for one in self._series.values()):
            parts += self._take()
            self._enter(reading.time)
        self._time = reading.time
        self._levels = _levels(reading)
        self._lines = []
        for what in self._levels:
            self._series[what].readings += 1
        for name, line in reading.lines.items():
            if math.isfinite(line.into) and math.isfinite(line.out):
                self._lines.append(f"line:{name}")
                self._cross(self._lines[-1], line, reading.time)
        return parts

    def finish(self, seconds: float) -> list[Part]:
        """Return what there is of the minute, because no reading follows.

        Args:
            seconds: how long ago the newest reading came.
        """
        parts = [*self._hold_until(self._time + seconds), *self._take()]
        self._levels, self._lines = {}, []
        return parts

    def _enter(self, time: float) -> list[Part]:
        """Go to the minute of a time; returns the one that was left."""
        minute = math.floor(time / MINUTE) * MINUTE
        left = [] if self._minute in (None, minute) else self._take()
        self._minute = minute
        return left

    def _take(self) -> list[Part]:
        minute, self._minute = self._minute, None
        series: dict[str, _Series | _Line] = {**self._series, **self._line}
        self._series.clear()
        self._line.clear()
        if minute is None or not series:
            return []
        spans = {what: one.span(minute) for what, one in series.items()}
        return [Part(spans, self._crossed.copy())]

    def _hold_until(self, time: float) -> list[Part]:
        """Let the values hold until then; returns the minutes that ended meanwhile."""
        parts: list[Part] = []
        if not self._levels and not self._lines:
            return parts
        start = self._time
        # At least a moment, also where the clock was set back.
        end = min(max(time, start + _SHORTEST), start + self.hold)
        while start < end:
            parts += self._enter(start)
            stop = min(end, math.floor(start / MINUTE) * MINUTE + MINUTE)
            for what, level in self._levels.items():
                self._series[what].held.append((level, stop - start))
            for what in self._lines:
                self._line[what].seconds += stop - start
            start = stop
        return parts

    def _cross(self, what: str, line: LineReading, time: float) -> None:
        """Add those who crossed a line since it was looked at."""
        before = self._crossed.get(what)
        # A start that is earlier than the noted one is the same, by a clock that was set.
        if before is None or line.since > before.since:
            # Who crossed long ago belongs to no minute, as where an older copy was put back.
            most = _RECENT if before is None else _RESET
            is_recent = time - line.since <= most
            before = Crossed(line.since, *((0.0, 0.0) if is_recent else (line.into, line.out)))
        one = self._line[what]
        one.readings += 1
        one.into += max(line.into - before.into, 0.0)
        one.out += max(line.out - before.out, 0.0)
        self._crossed[what] = Crossed(line.since, line.into, line.out)


def _levels(reading: Reading) -> dict[str, _Level]:
    """Return the numbers of people in a reading, by series."""
    levels = {}
    if reading.count is not None:
        levels["count"] = _Level(reading.count, *_ends(reading.interval))
    if reading.smooth is not None:
        levels["smooth"] = _Level(reading.smooth, *_ends(reading.smooth_interval))
    for name, region in reading.regions.items():
        levels[f"region:{name}"] = _Level(region.count)
    return {what: level for what, level in levels.items() if math.isfinite(level.value)}


def _ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else interval
