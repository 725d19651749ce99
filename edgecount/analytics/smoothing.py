"""A count that does not bounce."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import overload

import numpy as np

from edgecount._numbers import check_seconds, is_finite
from edgecount.analytics._checks import later
from edgecount.errors import InputError


@dataclass(frozen=True)
class SmoothCount:
    """A smoothed count.

    Attributes:
        time: time of the newest count, in seconds.
        count: people.
        interval: likely range of the people who are there; None if the counts had none.
    """

    time: float
    count: float
    interval: tuple[float, float] | None


class Smoother:
    """A median over a window of time, then an exponential mean.

    The median drops what lasts for less than half of its window, such as a lorry in front of the
    camera or a single wrong frame; the mean takes away what noise is left. Each count stands for
    the time since the one before it, so that settings mean the same at any frame rate, even one
    that changes. A step in the crowd is followed after about ``median / 2 + mean`` seconds; after
    a gap of several times ``mean`` the new counts are taken as they are.

    The interval is not narrowed by the smoothing: its ends are smoothed as the count is. Errors of
    neighbouring frames are errors about the same people in the same light, and do not average out.

    Args:
        median: length of the median's window, in seconds; 0: no median.
        mean: time constant of the exponential mean, in seconds; 0: no mean.

    Raises:
        ConfigError: a setting is negative or not finite.
    """

    def __init__(self, median: float = 3.0, mean: float = 3.0) -> None:
        check_seconds("median", median)
        check_seconds("mean", mean)
        self._median, self._mean = median, mean
        # Time, the seconds that it stands for, and count with the interval's ends.
        self._window: deque[tuple[float, float, tuple[float, ...]]] = deque()
        self._time: float | None = None
        self._counted: float | None = None  # when there was a count
        self._state: tuple[float, ...] = ()

    @overload
    def update(
        self, time: float, count: float, interval: tuple[float, float] | None = None
    ) -> SmoothCount: ...

    @overload
    def update(self, time: float, count: None, interval: None = None) -> None: ...

    def update(
        self, time: float, count: float | None, interval: tuple[float, float] | None = None
    ) -> SmoothCount | None:
        """Take a count and return the smoothed one.

        Args:
            time: time of the frame, in seconds, not before that of the last call.
            count: people in the frame or in a region of it; None: nothing was counted, as where the
                picture cannot be trusted: there is no smoothed count either.
            interval: its likely range.

        Raises:
            InputError: the time is before the last one, or a number is not finite.
        """
        if count is None:
            later(time, self._time)
            self._time = time
            return None
        values = (count, *_ends(interval))
        if not is_finite(*values):
            raise InputError(f"count: expected finite numbers, got {count!r} in {interval!r}")
        later(time, self._time)
        # The count stands for the time since the last one, whatever was missed in between.
        passed = 0.0 if self._counted is None else time - self._counted
        if len(values) != len(self._state):  # the first, or a model with or without intervals
            self._window.clear()
            self._state = ()
        self._time = self._counted = time
        # A count after a gap stands for no more of the gap than others do for their time.
        self._window.append((time, passed if passed <= self._median else 0.0, values))
        while self._window and self._window[0][0] < time - self._median:
            self._window.popleft()
        middle = self._middle()
        share = 1.0 if not self._state or not self._mean else -math.expm1(-passed / self._mean)
        self._state = tuple(
            old + share * (new - old)
            for old, new in zip(self._state or middle, middle, strict=True)
        )
        smooth, *ends = self._state
        return SmoothCount(time, smooth, (ends[0], ends[1]) if ends else None)

    def _middle(self) -> tuple[float, ...]:
        """Return the median of each number over the window, by the time that it stands for."""
        spans = np.array([span for _, span, _ in self._window])
        table = np.array([values for _, _, values in self._window])
        if spans.sum() <= 0:  # one frame, or several of the same moment
            spans = np.ones(len(spans))
        return tuple(_weighted_median(column, spans) for column in table.T)


def _ends(interval: tuple[float, float] | None) -> tuple[float, ...]:
    """Return an interval's two ends; none of None.

    Raises:
        InputError: it has not two ends.
    """
    ends = () if interval is None else tuple(interval)
    if len(ends) not in (0, 2):
        raise InputError(f"interval: expected its low and its high end, got {interval!r}")
    return ends


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the value with half of the weight on either side; the mean of two that share it."""
    order = np.argsort(values, kind="stable")
    values, reached = values[order], np.cumsum(weights[order])
    half = reached[-1] / 2
    low = values[np.searchsorted(reached, half - 1e-9 * half)]
    high = values[min(np.searchsorted(reached, half + 1e-9 * half, "right"), len(values) - 1)]
    return float(low + high) / 2
