"""Smoothing means the same at every frame rate, and keeps intervals honest."""

import math

import numpy as np
import pytest

from edgecount.analytics import Smoother
from edgecount.errors import ConfigError, InputError


def run(smoother, fps, seconds, count):
    """Feed a count that is a function of time; return times and smoothed counts."""
    times = np.arange(0, seconds, 1 / fps)
    return times, np.array([smoother.update(t, count(t)).count for t in times.tolist()])


@pytest.mark.parametrize("fps", [2, 10, 30])
def test_a_step_is_followed_alike_at_every_rate(fps):
    times, smooth = run(Smoother(median=4.0, mean=3.0), fps, 40, lambda t: 10.0 if t < 10 else 30.0)
    assert smooth[times < 10] == pytest.approx(10.0)
    # Half of the median's window, then the mean's own response.
    for after in (6.0, 10.0, 20.0):
        expected = 30 - 20 * math.exp(-(after - 2.0) / 3.0)
        got = np.interp(10 + after, times, smooth)
        assert got == pytest.approx(expected, abs=20 / fps / 3 + 0.3)


def test_what_lasts_less_than_half_the_window_leaves_no_trace():
    _, smooth = run(Smoother(3.0, 3.0), 10, 30, lambda t: 90.0 if 10 <= t < 11.2 else 20.0)
    assert smooth == pytest.approx(20.0)


def test_rates_that_change_do_not_bias_it():
    rng = np.random.default_rng(0)
    smoother = Smoother(median=0.0, mean=5.0)
    # Ten frames a second while 10 people are there, one a second while 30 are, by turns.
    time, seen = 0.0, []
    for block in range(60):
        many = block % 2
        for _ in range(1 if many else 10):
            time += 1.0 if many else 0.1
            seen.append(smoother.update(time, 30.0 if many else 10.0 + rng.normal(0, 0.1)).count)
    assert np.mean(seen[-110:]) == pytest.approx(20.0, abs=3.0)


def test_an_interval_is_smoothed_and_not_narrowed():
    rng = np.random.default_rng(1)
    smoother = Smoother(2.0, 2.0)
    for step in range(200):
        count = 50 + rng.normal(0, 3)
        last = smoother.update(step / 10, count, (0.8 * count, 1.3 * count))
    assert last.count == pytest.approx(50, abs=1.5)
    assert last.interval == pytest.approx((40, 65), abs=2.5)


def test_a_gap_is_not_bridged():
    smoother = Smoother(3.0, 3.0)
    for step in range(50):
        smoother.update(step / 10, 100.0)
    assert smoother.update(60.0, 5.0).count == pytest.approx(5.0, abs=0.1)


def test_the_first_count_and_models_without_intervals():
    smoother = Smoother()
    assert smoother.update(3.0, 7.0, (5.0, 9.0)).interval == (5.0, 9.0)
    assert smoother.update(3.1, 9.0).interval is None
    assert Smoother(0.0, 0.0).update(0.0, 4.5).count == 4.5
    same = Smoother()
    assert [same.update(1.0, count).count for count in (4.0, 6.0, 5.0)][-1] == pytest.approx(4.0)


def test_even_numbers_of_frames_take_the_middle_of_two():
    smoother = Smoother(median=10.0, mean=0.0)
    smoother.update(0.0, 50.0)
    assert [smoother.update(t, c).count for t, c in ((1.0, 10.0), (2.0, 20.0))] == [10.0, 15.0]


@pytest.mark.parametrize("setting", [-1.0, math.nan, math.inf, True])
def test_settings_that_are_no_time(setting):
    with pytest.raises(ConfigError, match="median: expected seconds, 0 or more"):
        Smoother(median=setting)


def test_times_that_go_back_and_counts_that_are_none():
    smoother = Smoother()
    smoother.update(5.0, 1.0)
    with pytest.raises(InputError, match=r"expected 5 s or later, got 4\.9"):
        smoother.update(4.9, 1.0)
    with pytest.raises(InputError, match="expected finite numbers, got nan"):
        smoother.update(6.0, math.nan)
    with pytest.raises(InputError, match="expected seconds, got inf"):
        smoother.update(math.inf, 1.0)


@pytest.mark.parametrize("fps", [1, 30])
def test_steps_are_followed_alike_at_any_rate(fps):
    smoother = Smoother(4.0, 3.0)
    for step in range(40 * fps):
        found = smoother.update(step / fps, 10.0 if step < 20 * fps else 50.0)
        if step == 26 * fps:
            middle = found.count
    assert middle == pytest.approx(10 + 40 * (1 - np.exp(-4 / 3)), abs=6)
    assert found.count == pytest.approx(50, abs=0.5)


def test_what_was_not_counted_is_not_smoothed():
    smoother = Smoother(3.0, 3.0)
    assert smoother.update(0.0, None) is None
    assert smoother.update(1.0, 10.0).count == 10
    assert smoother.update(2.0, None) is None
    assert smoother.update(3.0, 10.0).count == 10
    with pytest.raises(InputError, match="expected 3 s or later"):
        smoother.update(2.0, None)


def test_the_first_count_after_hours_is_one_of_many():
    smoother = Smoother(3.0, 0.0)
    for step in range(50):
        smoother.update(step / 10, 20.0)
    smoother.update(7200.0, 500.0)  # a single wrong one
    for step in range(1, 10):
        found = smoother.update(7200.0 + step / 10, 30.0)
    assert found.count == 30


def test_the_time_of_what_was_not_counted_is_no_later_count():
    smoother = Smoother(0.0, 2.0)
    smoother.update(0.0, 10.0)
    smoother.update(1.0, None)
    # the count stands for the two seconds since the last one
    assert smoother.update(2.0, 20.0).count == pytest.approx(20 - 10 * math.exp(-1))
    fresh = Smoother()
    fresh.update(10.0, None)
    with pytest.raises(InputError, match="expected 10 s or later, got 5"):
        fresh.update(5.0, 2.0)


def test_an_interval_has_two_ends():
    ends = np.array([1.0, 3.0])
    assert Smoother().update(0.0, 2.0, ends).interval == (1.0, 3.0)
    for wrong in ((1.0,), (1.0, 2.0, 3.0)):
        with pytest.raises(InputError, match="interval: expected its low and its high end"):
            Smoother().update(0.0, 2.0, wrong)
