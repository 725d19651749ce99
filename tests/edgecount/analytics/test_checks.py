"""Values that are no numbers are one clear error of the analytics, whatever their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgecount.analytics import (
    Alarm,
    AlarmRule,
    Anchor,
    CameraMotion,
    GroundPlane,
    LineCounter,
    MeanStay,
    Occupancy,
    PictureCheck,
    Smoother,
)
from edgecount.errors import ConfigError, EdgeCountError, InputError

_CORNERS = [(0, 0), (9, 0), (9, 9), (0, 9)]


@pytest.mark.parametrize("value", ["50", [1], True, float("nan"), float("inf"), 10**400, object()])
@pytest.mark.parametrize(
    "use",
    [
        lambda value: AlarmRule(value, 4),
        lambda value: AlarmRule(50, value),
        lambda value: AlarmRule(50, 4, enter=value),
        Anchor,
        CameraMotion,
        MeanStay,
        Occupancy,
        PictureCheck,
        lambda value: Smoother(value, 1),
        lambda value: LineCounter([], band=value),
        lambda value: GroundPlane.from_rectangle(_CORNERS, value, 2, size=(9, 9)),
    ],
)
def test_settings(use: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(ConfigError):
        use(value)


@pytest.mark.parametrize("value", ["5", [1], True, float("inf"), 10**400, object()])
@pytest.mark.parametrize(
    "use",
    [
        lambda value: Alarm(AlarmRule(50, 4)).update(value, 1),
        lambda value: Alarm(AlarmRule(50, 4)).update(1, value),
        lambda value: Smoother().update(value, 1),
        lambda value: Smoother().update(1, value),
        lambda value: MeanStay().update(1, value, into=1),
    ],
)
def test_times_and_counts(use: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(InputError):
        use(value)


@pytest.mark.parametrize("nan", [float("nan"), np.float32("nan"), np.float64("nan")])
def test_a_count_that_is_not_a_number_is_refused_everywhere(nan: Any) -> None:
    takers: list[Callable[[Any], Any]] = [
        lambda count: Alarm(AlarmRule(50, 4)).update(0, count),
        lambda count: Smoother().update(0, count),
        lambda count: Anchor().update(0, count, net=0),
        lambda count: MeanStay().update(0, count, into=0),
    ]
    for take in takers:
        with pytest.raises(InputError):
            take(nan)
        take(None)  # nothing was counted


def test_without_a_count_an_alarm_is_not_called() -> None:
    alarm = Alarm(AlarmRule(50, 4))
    assert alarm.update(0, None) == []
    assert [event.kind for event in alarm.update(1e9, None)] == ["lost"]


def test_an_anchors_time_goes_on_without_a_count() -> None:
    anchor = Anchor()
    assert anchor.update(10.0, None, net=0.0) is None
    with pytest.raises(InputError, match="expected 10 s or later, got 5"):
        anchor.update(5.0, 3.0, net=0.0)
    assert anchor.update(12.0, 3.0, net=0.0) == 3.0


def test_the_value_is_in_the_message() -> None:
    with pytest.raises(EdgeCountError, match="expected people, got '50', 4"):
        AlarmRule("50", 4)  # type: ignore[arg-type]
