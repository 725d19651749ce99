"""Histories with clocks of the test's own."""

from __future__ import annotations

from datetime import timezone

import pytest
from recorded import Clock, reading

from edgecount.watch.history import History, HistorySettings


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_history(tmp_path, clock):
    """Open histories that are closed when the test ends."""
    opened = []

    def open_(path=tmp_path / "history.sqlite", zone=timezone.utc, **keep):
        history = History(
            HistorySettings(path, **keep), zone, wall=clock.wall, monotonic=clock.monotonic
        )
        opened.append(history)
        history.open()
        return history

    yield open_
    for history in opened:
        history.close()


@pytest.fixture
def take(clock):
    """Give a history a reading, after some seconds."""

    def give(history, after=1.0, **numbers):
        clock.pass_(after)
        history.reading(reading(clock.now, **numbers))

    return give
