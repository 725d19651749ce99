"""Numbers of minutes, hours and days beside a computation by hand over what was counted."""

from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import START, reading, rows

from edgecount.watch.history.spans import percentile
from edgecount.watch.history.tally import Tally
from edgecount.watch.history.zones import DAY, HOUR, MINUTE

HOLD = 10.0


def stretches(readings):
    """Return (from, to, value) of every count, for ten seconds at most."""
    ends = [time for time, _ in readings[1:]] + [readings[-1][0] + HOLD]
    for (time, value), end in zip(readings, ends, strict=True):
        if value is not None:
            yield time, min(end, time + HOLD), value


def by_hand(readings, step):
    """Return {begin: (seconds, min, mean, max)} of steps that are known."""
    parts = {}
    for start, end, value in stretches(readings):
        for begin in range(floor(start / step) * step, ceil(end), step):
            if (seconds := min(end, begin + step) - max(start, begin)) > 0:
                parts.setdefault(begin, []).append((seconds, value))
    told = {}
    for begin, held in parts.items():
        seconds = sum(weight for weight, _ in held)
        values = [value for _, value in held]
        mean = sum(weight * value for weight, value in held) / seconds
        told[begin] = (seconds, min(values), mean, max(values))
    return told


def random_readings(seed, number=1500):
    """Return times and counts of two days, with pictures that cannot be trusted, and gaps."""
    chance = np.random.default_rng(seed)
    time, readings = START + chance.random() * 60, []
    while len(readings) < number:
        count = (
            None
            if chance.random() < 0.05
            else float(chance.choice((0.0, 7.0, 50.0)) * chance.random())
        )
        readings.append((time, count))
        is_gap = chance.random() < 0.01 and len(readings) % 3 == 0
        time += (
            chance.uniform(30, 3000 * chance.random() ** 2 + 40)
            if is_gap
            else chance.uniform(0.1, 6)
        )
    return readings


@pytest.mark.parametrize("seed", range(4))
def test_minutes_hours_and_days_are_those_of_the_counts(open_history, clock, seed):
    readings = random_readings(seed)
    history = open_history()
    for time, count in readings:
        clock.pass_(max(time - clock.now, 0))
        history.reading(reading(time, count))
    clock.pass_(HOLD + 1)
    history.idle()
    history.close()
    for table, step in (("minutes", MINUTE), ("hours", HOUR), ("days", DAY)):
        expected = by_hand(readings, step)
        found = {
            one.time: (one.seconds, one.min, one.mean, one.max) for one in rows(history, table)
        }
        assert found.keys() == expected.keys()
        for begin, numbers in expected.items():
            assert found[begin] == pytest.approx(numbers, abs=2e-3), (table, begin)
    for table in ("hours", "days"):
        assert sum(one.readings for one in rows(history, table)) == sum(
            count is not None for _, count in readings
        )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.2, 1.0, 5.0, 9.0]), st.sampled_from([None, 0.0, 1.5, 40.0])),
        min_size=1,
        max_size=80,
    )
)
def test_any_readings(steps):
    tally, time, readings, spans = Tally({}), float(START), [], []
    for after, count in steps:
        time += after
        readings.append((time, count))
        spans += [part.spans.get("count") for part in tally.add(reading(time, count))]
    spans += [part.spans.get("count") for part in tally.finish(HOLD)]
    found = {one.time: (one.seconds, one.min, one.mean, one.max) for one in spans if one}
    expected = by_hand(readings, MINUTE)
    assert found.keys() == expected.keys()
    for begin, numbers in expected.items():
        assert found[begin] == pytest.approx(numbers, abs=1e-4)


def test_a_gap_is_a_gap_and_not_nobody(open_history, take):
    history = open_history()
    for _ in range(60):
        take(history, count=4.0)
    take(history, 600, count=4.0)
    history.close()
    series = history.series("door", "count", START, START + 720, 12)
    assert series["step"] == 60
    assert series["mean"][0] == series["mean"][11] == 4.0
    assert series["mean"][2:11] == series["min"][2:11] == series["max"][2:11] == [None] * 9
    assert series["seconds"][2:11] == [0.0] * 9
    hour = rows(history, "hours")[0]
    assert (hour.min, hour.mean) == (4.0, 4.0)
    assert hour.seconds < 80


def test_a_mean_is_one_of_seconds_and_not_of_pictures():
    tally = Tally({})
    for second in range(10):  # ten pictures of nobody in a second, then ten people for nine
        tally.add(reading(START + second / 10, 0.0))
    tally.add(reading(START + 1, 10.0))
    (part,) = tally.finish(9)
    span = part.spans["count"]
    assert (span.seconds, span.readings, span.mean) == (10.0, 11, 9.0)


def test_the_range_is_that_of_the_counts_that_have_one():
    tally = Tally({})
    tally.add(reading(START, 5.0))
    tally.add(reading(START + 1, 5.0, interval=(2.0, 9.0)))
    tally.add(reading(START + 4, 5.0, interval=(4.0, 6.0)))
    (part,) = tally.finish(1)
    assert (part.spans["count"].low, part.spans["count"].high) == (2.5, 8.25)


def test_numbers_that_are_none_are_no_counts():
    tally = Tally({})
    tally.add(reading(START, float("nan"), regions={"hall": float("inf"), "door": 1.0}))
    (part,) = tally.finish(1)
    assert part.spans.keys() == {"region:door"}


def test_a_camera_with_few_pictures_has_no_gaps_between_them(open_history, clock, take):
    history = open_history()
    for _ in range(40):
        clock.pass_(89)
        history.idle()  # looks whether the camera has fallen silent
        take(history, count=3.0)
    history.close()
    # Its pace is not known before a few pictures have come.
    assert sum(one.seconds for one in rows(history, "hours")) > 40 * 90 - 6 * 80
    assert {one.mean for one in rows(history, "minutes")} == {3.0}


def test_a_pause_of_a_fast_camera_is_not_its_pace():
    tally = Tally({})
    for second in (0, 1, 2, 3, 4, 2000, 4000):
        tally.add(reading(START + second, 1.0))
    assert tally.hold == 10.0


def test_the_value_that_95_percent_do_not_exceed():
    assert percentile([(1.0, 95.0), (9.0, 5.0)]) == 1.0
    assert percentile([(1.0, 94.0), (9.0, 6.0)]) == 9.0
    assert percentile([]) is None


def test_a_clock_set_back_and_forth(open_history, clock, take):
    history = open_history()
    for _ in range(600):
        take(history, count=2.0)
    clock.now -= 3600  # without time passing
    for _ in range(600):
        take(history, count=4.0)
    clock.now += 7200
    for _ in range(600):
        take(history, count=6.0)
    history.close()
    minutes = rows(history, "minutes")
    assert len({one.time for one in minutes}) == len(minutes)
    assert all(0 < one.seconds <= 60 for one in minutes)
    assert sum(one.readings for one in minutes) == 1800
    assert {round(one.mean, 1) for one in minutes if one.seconds > 59.9} == {2.0, 4.0, 6.0}
    days = rows(history, "days")
    assert sum(one.readings for one in days) == 1800
    assert sum(one.seconds for one in days) == pytest.approx(1800, abs=12)


def test_the_same_minutes_again_after_the_clock_was_set_back(open_history, clock, take):
    history = open_history()
    for _ in range(120):
        take(history, count=2.0)
    clock.now -= 120
    for _ in range(120):
        take(history, count=4.0)
    history.close()
    minutes = [one for one in rows(history, "minutes") if one.readings == 120]
    assert minutes
    assert all((one.min, one.max, one.seconds) == (2.0, 4.0, 60.0) for one in minutes)
    assert all(one.mean == pytest.approx(3.0, abs=0.05) for one in minutes)


def test_readings_out_of_order(open_history, clock):
    history = open_history()
    chance = np.random.default_rng(1)
    for second in range(300):
        clock.pass_(1)
        history.reading(reading(START + second + chance.uniform(-3, 3), second % 2))
    history.close()
    minutes = rows(history, "minutes")
    assert sum(one.readings for one in minutes) == 300
    assert all(one.seconds <= 60 and one.min >= 0 and one.max <= 1 for one in minutes)


def test_nothing_is_kept_before_the_clock_is_set(open_history, clock, take):
    clock.now = 1000.0
    history = open_history()
    for _ in range(200):
        take(history)
    clock.now = START
    for _ in range(200):
        take(history)
    history.close()
    assert min(one.time for one in rows(history, "minutes")) == START


def test_more_readings_in_a_minute_than_are_kept_apart(open_history, take):
    history = open_history()
    for number in range(10_000):
        take(history, 0.005, count=float(number % 2))
    history.close()
    (minute,) = rows(history, "minutes")
    assert (minute.readings, minute.min, minute.max) == (10_000, 0.0, 1.0)
    assert minute.seconds == pytest.approx(50, abs=0.01)
    assert minute.mean == pytest.approx(0.5, abs=1e-3)
