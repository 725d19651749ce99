"""Lines whose counts start anew once a day, and go on after a restart."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend
from edgecount.analytics import Line
from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.camera.lines import DailyLines, last_reset
from edgecount.watch.history.tally import Tally
from edgecount.watch.readings import LineReading, Reading
from edgecount.watch.sinks.metrics import Metrics

LIVE = SourceState.LIVE
DOOR = Line("door", (0.5, 1.0), (0.5, 0.0), fractions=True)


def local(*parts: int) -> float:
    """Return a local time in UNIX seconds."""
    return datetime(*parts).timestamp()  # noqa: DTZ001 (lines are reset at a local time)


NOON = local(2026, 5, 4, 12)
IMAGE = np.zeros((240, 320, 3), np.uint8)
with EdgeCounter(backend=FakeBackend([])) as _counter:
    MANIFEST = _counter.manifest


def walk(lines: DailyLines, wall: float, *, begin: float = 0.0) -> dict[str, LineReading]:
    """Have somebody walk through the picture to the right."""
    found = {}
    for step in range(30):
        with EdgeCounter(backend=FakeBackend([(40 + 8 * step, 120)])) as counter:
            result = counter.count(IMAGE)
        found = lines.update(begin + 0.1 * step, wall + 0.1 * step, result, IMAGE)
    return found


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def sway(lines: DailyLines, seconds: float) -> Iterator[LineReading]:
    """Have somebody come up to the line and turn round, again and again."""
    for step in range(round(10 * seconds)):
        x = 200 - 44 * abs(math.sin(0.1 * step))  # the band is from 152 to 168
        with EdgeCounter(backend=FakeBackend([(x, 120)])) as counter:
            result = counter.count(IMAGE)
        yield lines.update(0.1 * step, NOON + 0.1 * step, result, IMAGE)["door"]


def test_who_turns_round_on_the_line_has_not_crossed_it():
    kept = {"door": LineReading(400.0, 380.0, NOON - 3600)}
    lines = DailyLines([DOOR], MANIFEST, reset=None, kept=kept, now=NOON)
    metrics, tally = Metrics(), Tally({})
    parts, counted = [], []
    for number, line in enumerate(sway(lines, 60)):
        wall = NOON + 0.1 * number
        nothing = (1.0, None, 1.0, None, {})
        reading = Reading("hall", wall, *nothing, {"door": line}, "good", False, SourceHealth(LIVE))
        metrics.reading(reading)
        parts += tally.add(reading)
        counted.append((line.into, line.out))
    parts += tally.finish(1)
    assert set(counted) == {(400.0, 380.0)}
    assert sum(part.spans["line:door"].into + part.spans["line:door"].out for part in parts) == 0
    counter = 'line_crossings_total{camera="hall",direction="in",line="door"} 0.0'
    assert counter in metrics.render().decode()
    assert walk(lines, NOON + 90, begin=90.0)["door"] == LineReading(401.0, 380.0, NOON - 3600)


def test_counts_go_on_from_what_was_kept():
    kept = {"door": LineReading(4.0, 2.0, NOON - 3600), "gone": LineReading(9.0, 9.0, 0.0)}
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept=kept, now=NOON)
    assert lines.readings(NOON) == {"door": kept["door"]}
    assert walk(lines, NOON) == {"door": LineReading(5.0, 2.0, NOON - 3600)}


def test_counts_start_anew_at_the_local_time():
    lines = DailyLines([DOOR], MANIFEST, reset="13:30", kept={}, now=NOON)
    assert walk(lines, NOON)["door"].into == 1
    later = local(2026, 5, 4, 13, 30)
    assert lines.readings(later - 1)["door"] == LineReading(1.0, 0.0, NOON)
    assert lines.readings(later) == {"door": LineReading(0.0, 0.0, later)}
    assert walk(lines, later, begin=9.0)["door"] == LineReading(1.0, 0.0, later)


def test_a_clock_that_was_a_day_ahead_skips_no_reset():
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept={}, now=NOON + 20 * 3600)
    assert walk(lines, NOON)["door"] == LineReading(1.0, 0.0, NOON)
    midnight = local(2026, 5, 5)
    assert lines.readings(midnight + 300)["door"] == LineReading(0.0, 0.0, midnight)


def test_a_reset_that_was_slept_through_is_made_up_for():
    kept = {"door": LineReading(4.0, 2.0, NOON - 86_400)}
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept=kept, now=NOON)
    midnight = local(2026, 5, 4)
    assert lines.readings(NOON) == {"door": LineReading(0.0, 0.0, midnight)}


def test_a_clock_that_is_set_back_over_midnight_resets_once():
    midnight = local(2026, 5, 4)
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept={}, now=midnight - 3600)
    walk(lines, midnight - 60)
    assert lines.readings(midnight + 1800)["door"] == LineReading(0.0, 0.0, midnight)
    assert walk(lines, midnight + 1800, begin=9.0)["door"].into == 1
    for wall in (midnight - 1800, midnight - 1, midnight, midnight + 3600):
        assert lines.readings(wall)["door"] == LineReading(1.0, 0.0, midnight)
    next_day = local(2026, 5, 5)
    assert lines.readings(next_day)["door"] == LineReading(0.0, 0.0, next_day)


def test_counts_that_started_in_a_future_that_never_was_start_anew_all_the_same():
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept={}, now=local(2040, 1, 1, 12))
    walk(lines, local(2040, 1, 1, 12))
    assert lines.readings(NOON)["door"] == LineReading(1.0, 0.0, NOON)
    midnight = local(2026, 5, 5)
    assert lines.readings(midnight)["door"] == LineReading(0.0, 0.0, midnight)


def test_a_clock_that_is_set_for_the_first_time():  # of a board without a battery
    lines = DailyLines([DOOR], MANIFEST, reset="00:00", kept={}, now=60.0)
    assert walk(lines, NOON)["door"] == LineReading(1.0, 0.0, local(2026, 5, 4))


def test_without_a_reset_counts_go_on_for_ever():
    kept = {"door": LineReading(4.0, 2.0, 0.0)}
    lines = DailyLines([DOOR], MANIFEST, reset=None, kept=kept, now=NOON)
    assert lines.readings(NOON + 1e7) == {"door": kept["door"]}


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((2026, 3, 29, 12), (2026, 3, 29, 0)),  # 02:00 became 03:00 in between
        ((2026, 3, 29, 23, 59), (2026, 3, 29, 0)),
        ((2026, 10, 25, 12), (2026, 10, 25, 0)),  # 03:00 became 02:00
        ((2026, 1, 1, 0), (2026, 1, 1, 0)),
    ],
)
def test_days_of_23_and_of_25_hours(now: tuple[int, ...], expected: tuple[int, ...]):
    wall = local(*now)
    assert last_reset("00:00", wall) == local(*expected)
    day_before = last_reset("00:00", last_reset("00:00", wall) - 1)
    assert 22.9 * 3600 < last_reset("00:00", wall) - day_before < 25.1 * 3600


@pytest.mark.parametrize("step", range(10, 22))
def test_nobody_is_lost_when_the_counts_start_anew_between_two_pictures(step: int):
    later = local(2026, 5, 4, 13, 30)
    begin = later - 0.1 * step
    lines = DailyLines([DOOR], MANIFEST, reset="13:30", kept={}, now=begin - 1)
    most: dict[float, float] = {}
    for number in range(30):
        with EdgeCounter(backend=FakeBackend([(40 + 8 * number, 120)])) as counter:
            result = counter.count(IMAGE)
        found = lines.update(0.1 * number, begin + 0.1 * number, result, IMAGE)["door"]
        most[found.since] = max(most.get(found.since, 0.0), found.into)
    assert len(most) == 2
    assert sum(most.values()) == 1
