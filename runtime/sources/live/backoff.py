"""Waiting between tries, longer from one to the next."""

from __future__ import annotations

import random


class Backoff:
    """Delays between tries, which double up to a limit.

    A random half of each delay is left out, so that cameras behind one switch that comes back are
    not all opened in the same moment.

    Args:
        first: seconds before the first try, at most.
        most: seconds of the longest delay.
    """

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._next = first

    def delay(self) -> float:
        """Return the seconds to wait before the next try."""
        delay = self._next
        self._next = min(self._most, 2 * delay)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def reset(self) -> None:
        """Start anew with the first delay."""
        self._next = self._first
