"""When the relay stops."""

from datetime import datetime, timedelta, timezone

import pytest

from edgecount.errors import ConfigError
from edgecount.train.relay import deadline as module
from edgecount.train.relay.deadline import Deadline, deadline

NOW = datetime(2030, 5, 6, 20, 15, 30, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("until", "minutes", "after"),
    [("21:30", None, 4470), ("20:15", None, 86370), ("7:05", None, 38970), (None, 1.5, 90)],
)
def test_times(until, minutes, after):
    assert deadline(until, minutes, NOW).at == NOW.timestamp() + after


def test_without_a_time_it_never_stops():
    never = deadline(None, None, NOW)
    assert never.at is None
    assert not never()
    assert never.minutes_left() == float("inf")


@pytest.mark.parametrize(
    ("until", "minutes", "message"),
    [
        ("21.30", None, "--until: expected a time of the day such as 21:30, got '21.30'"),
        ("24:00", None, "--until: expected a time of the day"),
        (None, 0.0, "--minutes: expected a number above 0, got 0"),
        ("21:30", 5.0, "expected --until or --minutes, got both"),
    ],
)
def test_wrong_times_are_named(until, minutes, message):
    with pytest.raises(ConfigError, match=message):
        deadline(until, minutes, NOW)


def test_a_stretch_that_would_end_too_late_is_not_begun(monkeypatch):
    clock = iter([0.0, 100.0, 250.0, 300.0])
    monkeypatch.setattr(module.time, "time", lambda: next(clock))
    stop = Deadline(420.0)
    # the longest stretch took 150 s, which at 300 s is too long
    assert [stop() for _ in range(4)] == [False, False, False, True]
