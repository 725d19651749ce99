"""One event for a breach, in seconds whatever the frame rate."""

import numpy as np
import pytest

from edgecount.analytics import Alarm, AlarmRule, AlarmState
from edgecount.errors import ConfigError, InputError
from edgecount.watch.config import AlarmConfig

RULE = AlarmRule(above=50, below=40, enter=4, leave=6, cooldown=20, stale=5)


def run(alarm, fps, seconds, count):
    events = []
    for step in range(int(seconds * fps)):
        events += alarm.update(step / fps, count(step / fps))
    return [(event.kind, event.time) for event in events]


@pytest.mark.parametrize("fps", [1, 4, 25])
def test_a_breach_is_one_event_and_its_end_another(fps):
    alarm = Alarm(RULE)
    events = run(alarm, fps, 60, lambda t: 60.0 if 10 <= t < 30 else 30.0)
    assert events == [("raised", 14.0), ("cleared", 36.0)]
    assert alarm.state is AlarmState.QUIET


def test_a_count_that_flickers_raises_nothing_twice():
    rng = np.random.default_rng(0)
    alarm = Alarm(RULE)
    noisy = lambda t: (55.0 if t > 20 else 20.0) + rng.uniform(-4, 4)  # noqa: E731
    assert [kind for kind, _ in run(alarm, 10, 300, noisy)] == ["raised"]
    edge = Alarm(RULE)
    assert run(edge, 10, 300, lambda t: 50.0 + 8 * np.sin(3 * t)) == []


def test_between_the_two_limits_it_stays_as_it_is():
    alarm = Alarm(RULE)
    events = run(alarm, 2, 60, lambda t: 60.0 if t < 10 else 45.0)
    assert events == [("raised", 4.0)]
    assert alarm.state is AlarmState.RAISED


def test_after_it_was_cleared_it_rests():
    alarm = Alarm(RULE)
    events = run(alarm, 1, 80, lambda t: 30.0 if 10 <= t < 20 else 60.0)
    # Cleared at 16; the crowd is back from 20 on, sustained at 24, and the rest ends at 36.
    assert events == [("raised", 4.0), ("cleared", 16.0), ("raised", 36.0)]


def test_counts_that_stay_away_are_a_state_of_their_own():
    alarm = Alarm(RULE)
    run(alarm, 1, 10, lambda _: 60.0)
    assert alarm.state is AlarmState.RAISED
    assert alarm.update(12.0, None) == []
    (lost,) = alarm.tick(14.5)
    assert (lost.kind, lost.state, lost.count, lost.peak) == ("lost", AlarmState.NO_DATA, 60, 60)
    assert alarm.tick(40.0) == []
    (back,) = alarm.update(41.0, 30.0)
    assert (back.kind, back.state) == ("back", AlarmState.RAISED)
    # The six seconds below the limit begin after the gap.
    assert [e.kind for t in range(42, 48) for e in alarm.update(float(t), 30.0)] == ["cleared"]


def test_a_source_that_never_starts_is_lost():
    alarm = Alarm(RULE)
    assert alarm.tick(100.0) == []
    assert [event.kind for event in alarm.tick(106.0)] == ["lost"]


def test_acknowledging():
    alarm = Alarm(RULE)
    assert alarm.acknowledge(0.0) == []
    run(alarm, 1, 6, lambda t: 60.0 + t)
    (event,) = alarm.acknowledge(6.0)
    assert (event.kind, event.state, event.peak) == (
        "acknowledged",
        AlarmState.ACKNOWLEDGED,
        65.0,
    )
    assert alarm.acknowledge(7.0) == []
    (cleared,) = [e for t in range(8, 16) for e in alarm.update(float(t), 10.0)]
    assert (cleared.kind, cleared.peak, cleared.state) == ("cleared", 65.0, AlarmState.QUIET)


def test_an_alarm_in_python_is_the_one_of_a_config():
    assert AlarmRule(above=5) == AlarmConfig(above=5).rule()
    assert (AlarmRule(above=5).leave, AlarmRule(above=5).cooldown) == (10, 60)


def test_without_below_it_is_cleared_when_fewer_than_above_are_there():
    alarm = Alarm(AlarmRule(above=5, enter=0, leave=0))
    kinds = [[e.kind for e in alarm.update(t, n)] for t, n in enumerate((6.0, 5.0, 4.9))]
    assert kinds == [["raised"], [], ["cleared"]]


def test_rules_that_make_no_sense():
    with pytest.raises(ConfigError, match=r"above: expected people above 0, got 0: .*Give 0\.5"):
        AlarmRule(above=0)
    with pytest.raises(ConfigError, match=r"below: expected at most above \(50\), got 60"):
        AlarmRule(above=50, below=60)
    # Fewer than 0 are never there: it would be raised once and for ever.
    with pytest.raises(ConfigError, match=r"below: expected people above 0, got 0: .*Give 0\.5"):
        AlarmRule(above=5, below=0)
    with pytest.raises(ConfigError, match="enter: expected seconds, 0 or more, got -1"):
        AlarmRule(above=50, below=40, enter=-1)
    with pytest.raises(ConfigError, match="expected people, got nan"):
        AlarmRule(above=float("nan"), below=40)
    alarm = Alarm(RULE)
    alarm.update(5.0, 1.0)
    with pytest.raises(InputError, match="count: expected a finite number of people, got inf"):
        Alarm(AlarmRule(above=50, below=40)).update(0.0, float("inf"))
    with pytest.raises(InputError, match="a clock that only goes forward"):
        alarm.tick(4.0)
