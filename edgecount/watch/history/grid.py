"""Steps of a stretch of time, and what was counted in each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from itertools import groupby
from typing import Any

from edgecount.watch.history.spans import Span, merged
from edgecount.watch.history.zones import DAY, HOUR, MINUTE, day_start, local, week_start

MINUTES, HOURS, DAYS = "minutes", "hours", "days"

_STEPS = (
    *(MINUTE * number for number in (1, 2, 5, 10, 15, 20, 30)),
    *(HOUR * number for number in (1, 2, 3, 4, 6, 8, 12)),
    *(DAY * number for number in (1, 2, 7, 14, 28, 56, 112, 364)),
)


def table_of(step: int) -> str:
    """Return the table with the coarsest rows that make up steps of so many seconds."""
    if step >= DAY:
        return DAYS
    return HOURS if step >= HOUR else MINUTES


@dataclass(frozen=True)
class Grid:
    """Steps that follow each other.

    Attributes:
        step: seconds that one lasts, give or take an hour where days are longer or shorter.
        edges: UNIX times at which they begin, and at which the last one ends.
    """

    step: int
    edges: Sequence[int]

    @property
    def table(self) -> str:
        """The table that they are made from."""
        return table_of(self.step)

    def placed(self, spans: Sequence[Span]) -> list[Span]:
        """Return spans as one for each step, with the step's number in place of its time."""
        numbered = groupby(spans, lambda span: bisect_right(self.edges, span.time) - 1)
        return [
            merged(list(group), place, self.edges[place + 1] - self.edges[place])
            for place, group in numbered
        ]


def grid_of(start: float, end: float, points: int, zone: tzinfo, finest: int = 0) -> Grid:
    """Return the finest grid over a stretch of time that has so few steps, or else the coarsest.

    Args:
        start: UNIX time in seconds.
        end: where it ends.
        points: steps that are wanted at most.
        zone: time zone of hours and days.
        finest: seconds that a step must last at least.
    """
    for step in _STEPS:
        # With some room, as a day may have 25 hours; far too many edges are not even made.
        if step < finest or (end - start) / step > 1.05 * points:
            continue
        edges = _edges(start, end, step, zone)
        if len(edges) - 1 <= points:
            return Grid(step, edges)
    return Grid(_STEPS[-1], _edges(start, end, _STEPS[-1], zone))


def _edges(start: float, end: float, step: int, zone: tzinfo) -> list[int]:
    if step < DAY:
        offset = local(start, zone).utcoffset() or timedelta()
        first = int(start - (start + offset.total_seconds()) % step)
        count = -int(-(end - first) // step)
        return [first + step * number for number in range(count + 1)]
    days = step // DAY
    edge = week_start(start, zone) if days % 7 == 0 else day_start(start, zone)
    edges = [edge]
    while edges[-1] < end:
        edges.append(day_start(edges[-1], zone, days))
    return edges


@dataclass(frozen=True)
class Series:
    """Counts in steps of time; the lists are as long as there are steps.

    Attributes:
        step: seconds that a step lasts.
        time: when each begins, UNIX time in seconds.
        seconds: for how long of it there are numbers; 0 where there are none.
        min: fewest people; None in a gap, as in what follows.
        mean: people on average over the seconds with numbers.
        max: most people.
        low: mean lower end of the counts' likely range; None where it is not known.
        high: mean upper end of it.
        into: people that crossed a line inwards, None of other series, as in the next one.
        out: people that crossed it outwards.
    """

    step: int
    time: list[int]
    seconds: list[float]
    min: list[float | None]
    mean: list[float | None]
    max: list[float | None]
    low: list[float | None]
    high: list[float | None]
    into: list[float | None]
    out: list[float | None]

    @classmethod
    def of(cls, grid: Grid, spans: Sequence[Span]) -> Series:
        """Make a series of spans that have the number of their step as time."""
        there = {span.time: span for span in spans}
        places = range(len(grid.edges) - 1)
        numbers = {
            name: [_short(getattr(there.get(place), name, None)) for place in places]
            for name in ("min", "mean", "max", "low", "high", "into", "out")
        }
        seconds = [
            _short(there[place].seconds) or 0.0 if place in there else 0.0 for place in places
        ]
        return cls(grid.step, list(grid.edges[:-1]), seconds, **numbers)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return dict(vars(self))


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
