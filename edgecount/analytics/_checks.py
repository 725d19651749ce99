"""Checks of numbers: times, settings in seconds, counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgecount.errors import ConfigError, InputError


def is_finite(*values: object) -> bool:
    """Return whether each is a number (no text, no truth value), neither infinite nor NaN."""
    return all(_is_finite(value) for value in values)


def _is_finite(value: object) -> bool:
    if type(value) is bool or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of a whole number that no float holds
        return False


def is_missing(count: Any) -> bool:
    """Return whether a count is None or NaN: nothing was counted."""
    return count is None or (isinstance(count, (float, np.floating)) and bool(np.isnan(count)))


def check_seconds(name: str, value: float) -> None:
    """Refuse a setting that is no span of time.

    Raises:
        ConfigError: it is negative, infinite or NaN.
    """
    if not (is_finite(value) and value >= 0):
        raise ConfigError(f"{name}: expected seconds, 0 or more, got {value!r}")


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a frame.

    Raises:
        ConfigError: it is no width and height in whole pixels above 0.
    """
    width = height = 0
    try:
        width, height = size
        whole = is_finite(width, height) and width == int(width) and height == int(height)
    except (TypeError, ValueError):
        whole = False
    if not whole or width < 1 or height < 1:
        raise ConfigError(f"size: expected width and height in pixels, got {size!r}")
    return int(width), int(height)  # OpenCV tells of a video's as floats


def later(time: float, last: float | None) -> float:
    """Return the seconds since the last time; 0 for the first.

    Raises:
        InputError: the time is not finite, or before the last one.
    """
    if not is_finite(time):
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
        if not is_finite(count):
            raise InputError(f"{name}: expected a finite number of people, got {count!r}")
