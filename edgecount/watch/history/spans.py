"""Counts of a camera in a stretch of time: a minute, an hour, a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

COLUMNS = 'time, seconds, readings, min, mean, max, p95, low, high, "into", out'

_SHARE = 0.95


class Span(NamedTuple):
    """Numbers of one series over a stretch of time; a row of a table, in this order.

    Attributes:
        time: when it began, UNIX time in seconds.
        seconds: for how long of it there are numbers; a count holds until the next one.
        readings: counted pictures in it.
        min: fewest people; None of a line.
        mean: people on average over the seconds; None of a line.
        max: most people; None of a line.
        p95: people whom 95% of the seconds did not exceed; None of a line.
        low: mean lower end of the counts' likely range; None where it is not known.
        high: mean upper end of it.
        into: people that crossed a line inwards; None of others.
        out: people that crossed it outwards.
    """

    time: int
    seconds: float
    readings: int
    min: float | None
    mean: float | None
    max: float | None
    p95: float | None
    low: float | None
    high: float | None
    into: float | None
    out: float | None


def merged(spans: Sequence[Span], time: int, longest: float) -> Span:
    """Return several spans as one.

    Args:
        spans: one or more.
        time: when the whole begins.
        longest: seconds that the whole lasts; after the clock was set back there may be more.
    """
    return Span(
        time,
        min(sum(one.seconds for one in spans), longest),
        sum(one.readings for one in spans),
        min(_known(one.min for one in spans), default=None),
        mean((one.mean, one.seconds) for one in spans),
        max(_known(one.max for one in spans), default=None),
        percentile([(one.p95, one.seconds) for one in spans if one.p95 is not None]),
        mean((one.low, one.seconds) for one in spans),
        mean((one.high, one.seconds) for one in spans),
        _sum(one.into for one in spans),
        _sum(one.out for one in spans),
    )


def percentile(values: Iterable[tuple[float, float]]) -> float | None:
    """Return the value that 95% of the weight does not exceed; None of no values.

    Args:
        values: each with its weight.
    """
    ordered = sorted(values)
    wanted = _SHARE * sum(weight for _, weight in ordered)
    for value, weight in ordered:
        wanted -= weight
        if wanted <= 1e-9:
            return value
    return ordered[-1][0] if ordered else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _sum(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return sum(known) if known else None


def mean(values: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the mean of values with their weights; None if none is known."""
    known = [(value, weight) for value, weight in values if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
