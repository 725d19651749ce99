"""How the hours of a week usually are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from edgecount.watch.history.spans import Span
from edgecount.watch.history.zones import HOUR, day_start, local

_ENOUGH = 900  # s of numbers without which an hour is not counted
_BUSIEST = 5


@dataclass(frozen=True)
class Hour:
    """An hour of the week.

    Attributes:
        weekday: 0 for Monday to 6.
        hour: 0 to 23, local time.
        mean: people on average; of a line, those who went in, of a part of an hour at its pace.
        weeks: how many weeks had numbers for it.
    """

    weekday: int
    hour: int
    mean: float
    weeks: int


@dataclass(frozen=True)
class Patterns:
    """Mean people by hour of the week; an hour with numbers for less than 15 minutes has none.

    Of an hour with numbers for a part of it, as the one that is not over, a line's are those of a
    whole hour at the same pace.

    Attributes:
        hours: of each weekday, from Monday, the means of its 24 hours; None without numbers.
        weeks_counted: as many lists with the number of weeks behind each mean.
        usual: the hours of the week with the highest means, the highest first.
        busiest: the hours with the highest numbers, of all that were looked at.
        this: means of this week's 168 hours from Monday; None without numbers, or not yet there.
        last: those of the week before.
        compared: mean of this week and of the last over the hours that both have; None of none.
    """

    hours: list[list[float | None]]
    weeks_counted: list[list[int]]
    usual: list[Hour]
    busiest: list[Span]
    this: list[float | None]
    last: list[float | None]
    compared: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return them as plain JSON types."""
        this, last = self.compared or (None, None)
        return {
            "hours": self.hours,
            "weeks_counted": self.weeks_counted,
            "usual": [vars(one).copy() for one in self.usual],
            "busiest": [
                {"hour": one.time, "mean": round(_value(one), 3), "max": _short(one.max)}
                for one in self.busiest
            ],
            "weeks": {"this": self.this, "last": self.last},
            "same_hours": {"this": this, "last": last},
        }


def patterns_of(spans: Sequence[Span], this_week: int, zone: tzinfo) -> Patterns:
    """Find the patterns in hours.

    Args:
        spans: the hours of the weeks that are looked at, and of this one so far.
        this_week: when this week began, UNIX time in seconds.
        zone: time zone of the hours.
    """
    last_week = day_start(this_week, zone, -7)
    every: list[list[float]] = [[] for _ in range(168)]
    weeks: list[set[int]] = [set() for _ in range(168)]  # an hour may come twice in one of them
    this: list[list[float]] = [[] for _ in range(168)]
    last: list[list[float]] = [[] for _ in range(168)]
    counted = [span for span in spans if span.seconds >= _ENOUGH]
    for span in counted:
        value = _in_an_hour(span)
        moment = local(span.time, zone)
        place = 24 * moment.weekday() + moment.hour
        every[place].append(value)
        weeks[place].add(moment.toordinal() - moment.weekday())
        if span.time >= this_week:
            this[place].append(value)
        elif span.time >= last_week:
            last[place].append(value)
    means = [_mean(values) for values in every]
    counts = [len(some) for some in weeks]
    compared = _mean_all(this), _mean_all(last)
    return Patterns(
        [means[day : day + 24] for day in range(0, 168, 24)],
        [counts[day : day + 24] for day in range(0, 168, 24)],
        _usual(means, counts),
        sorted(counted, key=_value, reverse=True)[:_BUSIEST],
        *compared,
        _compared(*compared),
    )


def _usual(means: Sequence[float | None], weeks: Sequence[int]) -> list[Hour]:
    hours = [
        Hour(*divmod(place, 24), mean, weeks[place])
        for place, mean in enumerate(means)
        if mean is not None
    ]
    return sorted(hours, key=lambda hour: -hour.mean)[:_BUSIEST]


def _value(span: Span) -> float:
    """Return people on average; of a line, those who went in."""
    return (span.mean if span.into is None else span.into) or 0.0


def _in_an_hour(span: Span) -> float:
    """Return people on average; of a line, those who would go in, in an hour at this pace."""
    value = _value(span)
    return value if span.into is None else value * max(HOUR / span.seconds, 1.0)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _compared(
    this: Sequence[float | None], last: Sequence[float | None]
) -> tuple[float, float] | None:
    pairs = zip(this, last, strict=True)
    both = [(new, old) for new, old in pairs if new is not None and old is not None]
    if not both:
        return None
    new, old = (round(sum(week) / len(both), 3) for week in zip(*both, strict=True))
    return new, old


def _mean_all(hours: Sequence[Sequence[float]]) -> list[float | None]:
    return [_mean(values) for values in hours]


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
