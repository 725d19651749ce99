"""When pictures were captured, by arrival and the stream's own clock; delays between tries."""

from __future__ import annotations

import itertools

import pytest

from edgecount.runtime.sources.live.backoff import Backoff
from edgecount.runtime.sources.live.clock import CaptureClock


def test_a_steady_stream_has_no_age() -> None:
    clock = CaptureClock()
    for index in range(100):
        assert clock.captured(50 + index / 10, index / 10) == pytest.approx(50 + index / 10)


def test_jitter_is_taken_off() -> None:
    clock = CaptureClock()
    delays = [0.0, 0.0, 0.08, 0.02, 0.05, 0.0, 0.09]
    for index, delay in enumerate(delays):
        arrival = 50 + index / 10 + delay
        assert clock.captured(arrival, index / 10) == pytest.approx(50 + index / 10)


def test_a_backlog_grows_old_and_is_caught_up() -> None:
    """Pictures at 10 per second, of which 8 per second get through for 10 s, and then 20."""
    clock = CaptureClock()
    arrival, ages = 50.0, []
    for index in range(160):
        arrival = max(arrival + (1 / 8 if index < 80 else 1 / 20), 50 + index / 10)
        ages.append(arrival - clock.captured(arrival, index / 10))
    assert ages[79] == pytest.approx(80 / 8 - 80 / 10, abs=0.2)
    assert ages[-1] < 0.2


@pytest.mark.parametrize("rate", [0.99, 1.01])
def test_a_clock_that_runs_at_another_rate(rate: float) -> None:
    clock = CaptureClock()
    for index in range(6000):
        arrival = 50 + index / 10
        assert 0 <= arrival - clock.captured(arrival, rate * index / 10) < 0.36


def test_a_clock_that_is_set_back() -> None:
    clock = CaptureClock()
    for index in range(20):
        clock.captured(50 + index / 10, 1000 + index / 10)
    assert clock.captured(52.0, 0.0) == 52.0
    assert clock.captured(52.1, 0.1) == pytest.approx(52.1)
    assert clock.captured(52.4, 0.2) == pytest.approx(52.2)


def test_a_clock_that_is_set_forward() -> None:
    clock = CaptureClock()
    clock.captured(50.0, 0.0)
    assert clock.captured(50.1, 500.1) == 50.1
    assert clock.captured(50.2, 500.2) == pytest.approx(50.2)


def test_a_first_picture_that_is_apart_from_the_rest() -> None:
    clock = CaptureClock()
    clock.captured(50.0, 0.1)
    for index in range(2, 20):
        assert clock.captured(50 + index / 10, index / 10) == pytest.approx(50 + index / 10)


def test_one_stamp_that_is_wrong() -> None:
    clock = CaptureClock()
    clock.captured(50.0, 0.0)
    clock.captured(50.1, 9.0)
    for index in range(2, 20):
        assert clock.captured(50 + index / 10, index / 10) == pytest.approx(50 + index / 10)


@pytest.mark.parametrize("media", [None, float("nan"), float("inf"), 7.0])
def test_a_clock_that_is_missing_or_stands_still(media: float | None) -> None:
    clock = CaptureClock()
    for index in range(20):
        assert clock.captured(50 + index, media) == 50 + index


def test_delays_double_up_to_the_most_with_jitter() -> None:
    backoff = Backoff(0.5, 4.0)
    delays = [backoff.delay() for _ in range(8)]
    for delay, most in zip(delays, [0.5, 1, 2, 4, 4, 4, 4, 4], strict=True):
        assert most / 2 <= delay <= most
    assert len(set(delays)) == 8
    backoff.reset()
    assert backoff.delay() <= 0.5
    assert all(a != b for a, b in itertools.pairwise(delays))
