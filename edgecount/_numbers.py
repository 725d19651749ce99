"""Checks of numbers that callers give."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, TypeGuard

from edgecount.errors import ConfigError


def is_number(value: object, kind: type = Real) -> TypeGuard[Any]:
    """Return whether a value is a number of this kind, Python's or NumPy's; True and False are not.

    Args:
        value: anything.
        kind: one of the classes of `numbers`, such as ``Integral``.
    """
    return isinstance(value, kind) and not isinstance(value, bool)


def is_finite(*values: Any) -> bool:
    """Return whether each is a real number, neither infinite nor NaN, nor too large for a float."""
    try:
        return all(is_number(value) and math.isfinite(value) for value in values)
    except OverflowError:  # of a whole number that no float holds
        return False


def check_seconds(
    name: str, value: Any, *, above_zero: bool = False, optional: bool = False
) -> None:
    """Refuse a setting that is no span of time.

    Args:
        name: the setting's, for the message.
        value: anything.
        above_zero: whether 0 is refused, too.
        optional: whether None will do.

    Raises:
        ConfigError: it is no number, negative, infinite or NaN.
    """
    if optional and value is None:
        return
    if not is_finite(value) or value < 0 or (above_zero and value == 0):
        least = "more than 0" if above_zero else "0 or more"
        expected = f"seconds, {least}{', or None' if optional else ''}"
        raise ConfigError(f"{name}: expected {expected}, got {value!r}")
