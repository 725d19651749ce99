"""Alarms of a camera: events, what is told of them, and their rules."""

from __future__ import annotations

import pytest

from edgecount import ConfigError
from edgecount.watch.camera.alarms import CameraAlarms, Measured
from edgecount.watch.config import AlarmConfig

WALL = 1_700_000_000.0


def alarms(before: CameraAlarms | None = None, **rules: AlarmConfig) -> CameraAlarms:
    return CameraAlarms("door", rules, before)


def people(count: float, low: float = 0.0, per_m2: float | None = None) -> Measured:
    return Measured(count, low, per_m2)


def rule(above: float, **options: object) -> AlarmConfig:
    return AlarmConfig(above, enter=1.0, leave=1.0, cooldown=0.0, **options)


def test_raised_acknowledged_and_cleared():
    watched = alarms(crowded=rule(5, region="hall", below=4))
    assert watched.update(0, WALL, {"hall": people(6), None: people(50)}) == []
    (raised,) = watched.update(1, WALL + 1, {"hall": people(8)})
    assert (raised.camera, raised.kind, raised.name) == ("door", "alarm", "crowded")
    assert (raised.change, raised.time, raised.count, raised.peak) == ("raised", WALL + 1, 8, 8)
    assert raised.detail == "hall: more than 5 people"
    watched.update(2, WALL + 2, {"hall": people(11)})
    assert watched.states()["crowded"] == {
        "region": "hall",
        "above": 5,
        "below": 4,
        "by": "count",
        "state": "raised",
        "since": WALL + 1,
        "count": 11,
        "peak": 11,
    }
    (known,) = watched.acknowledge("crowded", 2.5, WALL + 2.5)
    assert known.change == "acknowledged"
    assert watched.acknowledge("crowded", 2.6, WALL + 2.6) == []
    watched.update(3, WALL + 3, {"hall": people(1)})
    (cleared,) = watched.update(4, WALL + 4, {"hall": people(1)})
    assert (cleared.change, cleared.peak) == ("cleared", 11)
    told = watched.states()["crowded"]
    assert (told["state"], told["since"], told["peak"], told["count"]) == ("quiet", None, None, 1)


@pytest.mark.parametrize(("by", "raised"), [("count", True), ("low", False), ("per_m2", True)])
def test_what_a_rule_looks_at(by: str, raised: bool):
    watched = alarms(crowded=rule(5, by=by))
    for second in (0, 1):
        events = watched.update(second, WALL, {None: people(6, low=3, per_m2=7)})
    assert bool(events) is raised


def test_counts_that_stay_away_are_told_once():
    watched = alarms(crowded=rule(5, stale=2))
    watched.update(0, WALL, {None: people(1)})
    assert watched.update(1, WALL, {}) == []  # a picture that cannot be trusted
    (lost,) = watched.tick(2.5, WALL)
    assert (lost.change, watched.states()["crowded"]["state"]) == ("lost", "no data")
    assert watched.tick(9, WALL) == []
    # Captured before the last look at the clock, and taken after it.
    (back,) = watched.update(8.9, WALL, {None: people(1)})
    assert back.change == "back"


def test_an_alarm_whose_rule_is_the_same_goes_on():
    first = alarms(same=rule(5), other=rule(5))
    for second in (0, 1):
        first.update(second, WALL, {None: people(6)})
    second = alarms(first, same=rule(5), other=rule(4), new=rule(1))
    states = {name: one["state"] for name, one in second.states().items()}
    assert states == {"same": "raised", "other": "quiet", "new": "quiet"}


def test_an_alarm_that_is_none():
    with pytest.raises(ConfigError, match=r"door: alarm: expected one of \['a'\], got 'b'"):
        alarms(a=rule(1)).acknowledge("b", 0, WALL)
