"""Readings, events and minutes to give to a history, and what lies in its file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.history.spans import Span
from edgecount.watch.history.tally import Part
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading

START = 1_750_000_020  # the begin of a minute, 2025-06-15 15:07 UTC
_HEALTH = SourceHealth(SourceState.LIVE)


class Clock:
    """Time that passes when the test says so; the wall clock can be set, the other one cannot."""

    def __init__(self, wall: float = START) -> None:
        self.now = wall
        self.passed = 1000.0

    def wall(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.passed

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds


def reading(time, count=1.0, *, camera="door", interval=None, regions=(), lines=()):
    """Make a reading; regions are counts by name, lines (in, out, since) by name."""
    return Reading(
        camera=camera,
        time=time,
        count=count,
        interval=interval,
        smooth=None,
        smooth_interval=None,
        regions={name: RegionReading(one, one) for name, one in dict(regions).items()},
        lines={name: LineReading(*one) for name, one in dict(lines).items()},
        picture="good",
        night=False,
        health=_HEALTH,
    )


def event(time, change="raised", *, camera="door", name="crowded", **more):
    return Event(camera, time, "alarm", name, change, **more)


def write_minutes(history, what, minutes, camera="door"):
    """Write whole minutes: a mean of each, by their time; (in, out) of a line's."""
    with history._store.change():
        for time, value in minutes.items():
            if isinstance(value, tuple):
                span = Span(time, 60.0, 60, *[None] * 6, *value)
            else:
                span = Span(time, 60.0, 60, value, value, value, value, None, None, None, None)
            history._store.put_part(camera, Part({what: span}, {}))
        history._store.settle()


def rows(history, table, what="count", camera="door"):
    """Return the rows of a series as they lie in the file once hours and days are made."""
    if history._database is not None:
        history.settle()
    with closing(sqlite3.connect(history.path)) as database:
        found = database.execute(
            f"SELECT t.* FROM {table} t JOIN series ON id = series "  # noqa: S608
            "WHERE camera = ? AND what = ? ORDER BY time",
            (camera, what),
        ).fetchall()
    return [Span(*row[1:]) for row in found]


def berlin(*moment):
    """Return the UNIX time of a local time in Berlin."""
    return int(datetime(*moment, tzinfo=ZoneInfo("Europe/Berlin")).timestamp())
