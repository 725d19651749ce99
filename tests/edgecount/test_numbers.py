"""What counts as a number, as a finite one, and as seconds."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
import pytest

from edgecount._numbers import check_seconds, is_finite, is_number
from edgecount.analytics import AlarmRule, GroundPlane, Smoother
from edgecount.errors import ConfigError
from edgecount.fake import Show
from edgecount.runtime.sources import LiveOptions

NUMBERS = [3, 0.5, Fraction(1, 3), np.float32(0.5), np.float64(0.5), np.int64(3), np.uint8(3)]


@pytest.mark.parametrize("value", NUMBERS)
def test_python_s_numbers_and_numpy_s(value: Any) -> None:
    assert is_number(value)
    assert is_finite(value, 1)
    assert is_number(value, Integral) == (int(value) == value)
    check_seconds("wait", value, above_zero=True)
    assert LiveOptions(stall_timeout=value).stall_timeout == value
    assert Smoother(value, value).update(0.0, value).count == pytest.approx(float(value))
    assert AlarmRule(value, value).above == value
    assert Show(value).seconds == value
    plane = GroundPlane.from_rectangle([(0, 0), (9, 0), (9, 9), (0, 9)], value, value, (9, 9))
    assert plane.area([(0, 0), (9, 0), (9, 9), (0, 9)]) == pytest.approx(float(value) ** 2)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), "3", None, [3], 3j, np.ones(1), float("nan"), float("inf")]
)
def test_what_is_none(value: Any) -> None:
    assert not is_finite(value)
    assert not is_finite(1, value)
    assert not is_number(value, Integral)
    for use in (lambda: check_seconds("wait", value), lambda: Show(value)):
        with pytest.raises(ConfigError, match="expected seconds, "):
            use()


def test_a_whole_number_may_be_too_large_for_a_float() -> None:
    assert is_number(10**400, Integral)
    assert not is_finite(10**400)


def test_which_seconds_a_setting_takes() -> None:
    check_seconds("wait", 0)
    check_seconds("wait", None, optional=True)
    with pytest.raises(ConfigError, match=r"^wait: expected seconds, 0 or more, got -1$"):
        check_seconds("wait", -1)
    with pytest.raises(ConfigError, match=r"^wait: expected seconds, more than 0, got 0$"):
        check_seconds("wait", 0, above_zero=True)
    with pytest.raises(ConfigError, match=r"^wait: expected seconds, 0 or more, or None, got 'x'$"):
        check_seconds("wait", "x", optional=True)
