"""Checks of times, counts and sizes of frames."""

from __future__ import annotations

from edgecount._numbers import is_finite
from edgecount.errors import ConfigError, InputError


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
