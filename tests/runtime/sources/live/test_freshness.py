"""A picture that the next one is about to outdate is not taken."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecount.runtime.sources.live import LiveOptions
from edgecount.runtime.sources.live import core as live_core

INTERVAL = 10.0  # s between pictures, as they say; none is waited for


@pytest.fixture
def core(monkeypatch) -> Any:
    """Return the core of a reader that nobody has started, with one picture to take."""
    monkeypatch.setattr(live_core, "_SOON", 4.0)
    core = live_core.Core("camera", lambda: None, LiveOptions(), True)
    for number in range(3):
        hand(core, number)
    return core


def hand(core: Any, number: int) -> None:
    attempt: Any = SimpleNamespace(
        is_abandoned=False, is_finite=False, newly_skipped=lambda: 0, left_out=0
    )
    captured = time.monotonic() + INTERVAL * (number - 2)
    core._hand(attempt, np.zeros((4, 4, 3), np.uint8), captured, None)


def let_the_last_one_be(core: Any, seconds_ago: float) -> None:
    core._well = time.monotonic() - seconds_ago


def test_a_fresh_one_is_taken_at_once(core: Any) -> None:
    assert core.take(None).index == 2


def test_the_next_one_is_waited_for_when_it_is_due(core: Any) -> None:
    let_the_last_one_be(core, INTERVAL)
    timer = threading.Timer(0.1, hand, (core, 3))
    timer.start()
    assert core.take(None).index == 3
    timer.join()
    health = core.health()
    assert (health.counted, health.dropped) == (1, 3)


def test_the_old_one_is_taken_where_no_other_comes(core: Any, monkeypatch) -> None:
    monkeypatch.setattr(live_core, "_SOON", 0.05)
    let_the_last_one_be(core, INTERVAL)
    assert core.take(None).index == 2


def test_a_late_one_is_not_waited_for(core: Any) -> None:
    let_the_last_one_be(core, 1.8 * INTERVAL)
    assert core.take(None).index == 2


def test_who_has_little_time_gets_what_is_there(core: Any) -> None:
    let_the_last_one_be(core, INTERVAL)
    assert core.take(0).index == 2
