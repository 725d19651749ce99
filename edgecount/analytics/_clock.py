"""Checks of times, of settings in seconds and of counts."""

from __future__ import annotations

import math

from edgecount.errors import ConfigError, InputError


def check_seconds(name: str, value: float) -> None:
    """Refuse a setting that is no span of time.

    Raises:
        ConfigError: it is negative, infinite or NaN.
    """
    if isinstance(value, bool) or not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"{name}: expected seconds, 0 or more, got {value!r}")


def later(time: float, last: float | None) -> float:
    """Return the seconds since the last time; 0 for the first.

    Raises:
        InputError: the time is not finite, or before the last one.
    """
    if not math.isfinite(time):
        raise InputError(f"time: expected seconds, got {time!r}")
    if last is not None and time < last:
        raise InputError(
            f"time: expected {last:g} s or later, got {time:g}: use a clock that only goes forward"
        )
    return 0.0 if last is None else time - last


def check_people(**counts: float) -> None:
    """Refuse counts that are no numbers.

    Raises:
        InputError: one of them is infinite or NaN.
    """
    for name, count in counts.items():
        if not math.isfinite(count):
            raise InputError(f"{name}: expected a finite number of people, got {count!r}")
