"""Alarms of a camera: events, what is told of them, and their rules."""

from __future__ import annotations

import pytest

from edgecount import ConfigError
from edgecount.watch.camera.alarms import CameraAlarms, Measured
from edgecount.watch.config import AlarmConfig, CameraConfig
from edgecount.watch.readings import AlarmStatus

WALL = 1_700_000_000.0


def alarms(before: CameraAlarms | None = None, **rules: AlarmConfig) -> CameraAlarms:
    return CameraAlarms("door", rules, kept={}, wall=WALL, before=before)


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


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 5.0, None])
def test_alarms_of_slow_cameras_are_raised(rate: float | None):
    config = CameraConfig("rtsp://host/x", rate=rate, alarms={"crowded": AlarmConfig(50)})
    watched = CameraAlarms("door", config.alarms, kept={}, wall=WALL, patience=config.patience)
    apart = 1 / (rate or 5)
    events = []
    for step in range(40):
        events += watched.update(step * apart, WALL + step * apart, {None: people(200)})
        for part in range(1, 10):
            late = (step + part / 10) * apart
            events += watched.tick(late, WALL + late)
    assert [event.change for event in events] == ["raised"]
    gone = 40 * apart + max(10.0, 2.5 * apart)
    assert [event.change for event in watched.tick(gone, WALL + gone)] == ["lost"]


@pytest.mark.parametrize(("by", "raised"), [("count", True), ("low", False), ("per_m2", True)])
def test_what_a_rule_looks_at(by: str, raised: bool):
    watched = alarms(crowded=rule(5, by=by))
    for second in (0, 1):
        events = watched.update(second, WALL, {None: people(6, low=3, per_m2=7)})
    assert bool(events) is raised
    unit = "people/m2" if by == "per_m2" else "people"
    assert all(event.to_dict()["unit"] == unit for event in events)
    assert watched.statuses()["crowded"].unit == unit
    assert [one.unit for one in watched.end((), WALL)] == [unit] * raised


def test_words_of_an_alarm_by_the_low_end():
    watched = alarms(packed=rule(5, by="low"))
    seen = [people(9, low=6), people(9, low=6), people(7, low=4), people(7, low=4)]
    events = []
    for second, one in enumerate(seen):
        events += watched.update(second, WALL, {None: one})
        events += watched.acknowledge("packed", second, WALL)
    assert [(event.count, event.detail) for event in events] == [
        (6, "the picture: surely more than 5 people"),
        (6, "the picture: somebody knows of surely more than 5 people"),
        (4, "the picture: perhaps fewer than 5 people"),
    ]
    _, reason = watched.banner({"packed": AlarmStatus(raised=True)})
    assert reason == "the picture: surely more than 5 people"
    # Without an interval nothing is sure.
    watched = alarms(packed=rule(5, by="low"))
    for second in (0, 1):
        events = watched.update(second, WALL, {None: Measured(6, None, None)})
    assert [(one.count, one.detail) for one in events] == [(6, "the picture: more than 5 people")]


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


def test_alarms_go_on_by_another_config():
    first = alarms(same=rule(5), other=rule(5), gone=rule(5), quiet=rule(9))
    for second in (0, 1):
        first.update(second, WALL, {None: people(6)})
    second = alarms(first, same=rule(5), other=rule(4), new=rule(1))
    states = {name: one["state"] for name, one in second.states().items()}
    assert states == {"same": "raised", "other": "raised", "new": "quiet"}
    (cleared,) = first.end(["same", "other", "new"], WALL)
    assert (cleared.name, cleared.change, cleared.peak) == ("gone", "cleared", 6)
    assert cleared.detail == "the alarm is no longer in the config"


def restarted(before: CameraAlarms, wall: float, **rules: AlarmConfig) -> CameraAlarms:
    return CameraAlarms("door", rules, kept=before.statuses(), wall=wall)


def test_a_raised_alarm_is_neither_lost_nor_raised_again_by_a_restart():
    config = rule(5)
    first = alarms(a=config)
    for second in (100, 101):
        first.update(second, WALL + second, {None: people(6)})
    first.acknowledge("a", 102, WALL + 102)
    later = WALL + 1000
    again = restarted(first, later, a=config)
    assert again.states()["a"]["state"] == "acknowledged"
    assert again.states()["a"]["since"] == WALL + 101
    assert [again.update(second, later, {None: people(7)}) for second in (5, 6, 7)] == [[], [], []]
    again.update(8, later, {None: people(1)})
    (cleared,) = again.update(9, later + 9, {None: people(1)})
    assert (cleared.change, cleared.peak) == ("cleared", 7)


@pytest.mark.parametrize(("passed", "raised"), [(10, False), (40, True), (-3600, False)])
def test_a_cooldown_goes_on_over_a_restart(passed: float, raised: bool):
    config = AlarmConfig(5, enter=0, leave=0, cooldown=30)
    first = alarms(a=config)
    first.update(0, WALL, {None: people(6)})
    first.update(1, WALL, {None: people(1)})
    again = restarted(first, WALL + passed, a=config)
    assert bool(again.update(500, WALL + passed, {None: people(6)})) is raised


def test_the_alarm_that_is_drawn_over_a_picture():
    rules = {
        "known": rule(5),
        "raised": AlarmConfig(3, region="hall", by="per_m2"),
        "lost": rule(1),
        "quiet": rule(9),
    }
    watched = alarms(**rules)
    raised = AlarmStatus(raised=True)
    known = AlarmStatus(raised=True, acknowledged=True)
    lost = AlarmStatus(has_data=False)
    quiet = {"quiet": AlarmStatus(), "gone": raised}
    assert watched.banner(quiet) is None
    for statuses, state, reason in (
        ({"lost": lost}, "no data", "the picture: no counts come, its state is not known"),
        ({"lost": lost, "known": known}, "acknowledged", "the picture: more than 5 people"),
        (
            {"lost": lost, "known": known, "raised": raised},
            "raised",
            "hall: more than 3 people per square metre",
        ),
    ):
        alarm, words = watched.banner(quiet | statuses)
        assert (alarm.state.value, words) == (state, reason)


def test_an_alarm_without_counts_goes_on_without_them():
    first = alarms(a=rule(5, stale=2))
    first.update(0, WALL, {None: people(1)})
    first.tick(5, WALL)
    again = restarted(first, WALL, a=rule(5, stale=2))
    assert again.tick(9, WALL) == []
    (back,) = again.update(10, WALL, {None: people(1)})
    assert back.change == "back"


def test_an_alarm_that_is_none():
    with pytest.raises(ConfigError, match=r"door: alarm: expected one of \['a'\], got 'b'"):
        alarms(a=rule(1)).acknowledge("b", 0, WALL)
