"""Queries of a history, from any thread."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError, OutputError
from edgecount.watch.history.database import is_damage, reading
from edgecount.watch.history.events import past_events
from edgecount.watch.history.export import csv_rows
from edgecount.watch.history.grid import HOURS, Grid, Series, grid_of, table_of
from edgecount.watch.history.patterns import patterns_of
from edgecount.watch.history.schema import TABLES
from edgecount.watch.history.spans import COLUMNS, Span
from edgecount.watch.history.zones import DAY, HOUR, day_start, week_start

_MOST_POINTS = 10_000
_MOST_WEEKS = 520
_LATEST = 250_000_000_000  # s: dates end not long after

# The rows of a table in equal stretches of time; a percentile cannot be had from percentiles.
_GROUPED = """
SELECT (time - :start) / :step, sum(seconds), sum(readings), min(min),
    sum(mean * seconds) / sum(seconds), max(max), NULL,
    sum(low * seconds) / sum(CASE WHEN low IS NULL THEN 0 ELSE seconds END),
    sum(high * seconds) / sum(CASE WHEN high IS NULL THEN 0 ELSE seconds END),
    sum("into"), sum(out)
FROM {table} WHERE series = :series AND time >= :start AND time < :end GROUP BY 1
"""


class Queries:
    """Queries of a history, which may be written at the same time.

    They may be called from any number of threads; each query opens the file itself and never blocks
    the writer. A missing file is an empty history, and so is an unknown camera.

    Attributes:
        path: the file.
        zone: time zone of days and hours, in which they were written.
    """

    path: Path
    zone: tzinfo

    def known(self) -> list[tuple[str, str]]:
        """Return the series as pairs of camera and name: count, smooth, region:NAME or line:NAME.

        Raises:
            OutputError: the file cannot be read; this holds for the other queries, too.
        """
        with self._reading() as database:
            return [] if database is None else [one[1:] for one in _chosen(database, None, None)]

    def series(
        self, camera: str, what: str, start: float, end: float, points: int = 500
    ) -> dict[str, Any]:
        """Return a range of time in at most the given number of steps.

        Steps are round fractions of local hours and days. They are longer than requested if short
        ones are no longer kept.

        Args:
            camera: its id.
            what: count, smooth, region:NAME or line:NAME.
            start: UNIX time in seconds.
            end: end of the range, after ``start``.
            points: maximum number of steps, 1 to 10,000; steps last 364 days at most, however
                many they are then.

        Returns:
            The attributes of `Series` as plain JSON types: step in seconds, and lists of equal
            length. A step without counts has None, not zero.

        Raises:
            ConfigError: the times or points are invalid.
            OutputError: the file cannot be read.
        """
        _check_times(start, end)
        if not 1 <= points <= _MOST_POINTS:
            raise ConfigError(f"points: expected 1 to {_MOST_POINTS}, got {points}")
        with self._reading() as database:
            number = None if database is None else _number(database, camera, what)
            if database is None or number is None:
                return Series.of(grid_of(start, end, points, self.zone), []).to_dict()
            finest = _finest(database, number, start)
            grid = grid_of(start, end, points, self.zone, finest)
            return Series.of(grid, _on_grid(database, number, grid)).to_dict()

    def patterns(
        self, camera: str, what: str, weeks: int = 8, *, now: float | None = None
    ) -> dict[str, Any]:
        """Return the usual counts by hour of the week, and this week beside the last one.

        Args:
            camera: its id.
            what: as in `series`; for a line, the people who went in.
            weeks: number of weeks before this one that are used, 1 to 520.
            now: UNIX time in seconds; None for now.

        Returns:
            The attributes of `Patterns` as plain JSON types.

        Raises:
            ConfigError: the number of weeks is invalid.
            OutputError: the file cannot be read.
        """
        if not 1 <= weeks <= _MOST_WEEKS:
            raise ConfigError(f"weeks: expected 1 to {_MOST_WEEKS}, got {weeks}")
        now = time.time() if now is None else now
        this = week_start(now, self.zone)
        first = day_start(this, self.zone, -7 * weeks)
        with self._reading() as database:
            number = None if database is None else _number(database, camera, what)
            spans = []
            if database is not None and number is not None:
                spans = _spans(database, number, HOURS, first, math.ceil(now))
        return patterns_of(spans, this, self.zone).to_dict()

    def events(
        self,
        camera: str | None = None,
        start: float = 0.0,
        end: float = _LATEST,
        limit: int = 1000,
    ) -> list[dict[str, Any]]:
        """Return the newest events of a stretch of time, the newest first.

        Each is as `Event.to_dict` makes it, with `acknowledged`: when somebody acknowledged an
        alarm that was raised, None of others.

        Args:
            camera: its id; None for all of them.
            start: UNIX time in seconds.
            end: where it ends.
            limit: how many at most, 1 to 10,000.

        Raises:
            ConfigError: times or a limit that make no sense.
            OutputError: the file cannot be read.
        """
        _check_times(start, end)
        if not 1 <= limit <= _MOST_POINTS:
            raise ConfigError(f"limit: expected 1 to {_MOST_POINTS}, got {limit}")
        with self._reading() as database:
            return [] if database is None else past_events(database, camera, start, end, limit)

    def export(
        self,
        start: float,
        end: float,
        *,
        camera: str | None = None,
        what: str | None = None,
        resolution: str | None = None,
    ) -> Iterator[str]:
        """Give a stretch of time as CSV, some rows at a time.

        Times are local, with their difference to UTC. Rows are those that are kept: a minute, hour
        or day without data has none.

        Args:
            start: UNIX time in seconds.
            end: where it ends.
            camera: its id; None for all of them.
            what: as in `series`; None for all series.
            resolution: minutes, hours or days; None for the finest that is kept back to the start.

        Raises:
            ConfigError: the times or the resolution are invalid.
            OutputError: the file cannot be read.
        """
        _check_times(start, end)
        if resolution not in (None, *TABLES):
            raise ConfigError(f"resolution: expected {', '.join(TABLES)}, got {resolution}")
        return self._export(start, end, camera, what, resolution)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        try:
            with reading(self.path) as database:
                yield database
        except OutputError as error:
            if isinstance(error.__cause__, sqlite3.Error) and is_damage(error.__cause__):
                self.found_damage()
            raise

    def found_damage(self) -> None:
        """Note that a query met damage in the file; called from any thread."""

    def _export(
        self, start: float, end: float, camera: str | None, what: str | None, table: str | None
    ) -> Iterator[str]:
        with self._reading() as database:
            chosen = [] if database is None else _chosen(database, camera, what)
            if database is not None and table is None:
                steps = [_finest(database, number, start) for number, _, _ in chosen]
                table = table_of(max(steps, default=0))
            yield from csv_rows(database, chosen, table or TABLES[0], (start, end), self.zone)


def _check_times(start: float, end: float) -> None:
    if not 0 <= start < end <= _LATEST:
        raise ConfigError(
            f"from, to: expected UNIX times in seconds, one before the other, got {start} and {end}"
        )


def _number(database: sqlite3.Connection, camera: str, what: str) -> int | None:
    found = database.execute(
        "SELECT id FROM series WHERE camera = ? AND what = ?", (camera, what)
    ).fetchone()
    return found[0] if found else None


def _chosen(
    database: sqlite3.Connection, camera: str | None, what: str | None
) -> list[tuple[int, str, str]]:
    """Return number, camera and what of each series that is asked for."""
    return database.execute(
        "SELECT id, camera, what FROM series WHERE camera = coalesce(?, camera) "
        "AND what = coalesce(?, what) ORDER BY camera, what",
        (camera, what),
    ).fetchall()


def _finest(database: sqlite3.Connection, number: int, start: float) -> int:
    """Return the shortest step of a series, in seconds, of which there is still the beginning."""
    minutes, hours, days = (
        database.execute(
            f"SELECT min(time), max(time) FROM {table} WHERE series = ?",  # noqa: S608 (one of ours)
            (number,),
        ).fetchone()
        for table in TABLES
    )

    def is_lost(fine: tuple[int | None, ...], coarse: tuple[int | None, ...], step: int) -> bool:
        first, last = coarse
        if first is None or last is None:
            return False
        if fine[0] is None:  # of a series that has had no numbers for long all are deleted
            return last + step > start
        return fine[0] > start and first < fine[0] - step

    if is_lost(hours, days, DAY):
        return DAY
    return HOUR if is_lost(minutes, hours, HOUR) else 0


def _on_grid(database: sqlite3.Connection, number: int, grid: Grid) -> list[Span]:
    """Return what there is, each with the number of its step in place of its time."""
    start, end = grid.edges[0], grid.edges[-1]
    if grid.step >= DAY:
        return grid.placed(_spans(database, number, grid.table, start, end))
    values = {"series": number, "start": start, "end": end, "step": grid.step}
    rows = database.execute(_GROUPED.format(table=grid.table), values)
    return [Span(*row) for row in rows]


def _spans(
    database: sqlite3.Connection, number: int, table: str, start: int, end: int
) -> list[Span]:
    rows = database.execute(
        f"SELECT {COLUMNS} FROM {table} "  # noqa: S608 (one of ours)
        "WHERE series = ? AND time >= ? AND time < ? ORDER BY time",
        (number, start, end),
    )
    return [Span(*row) for row in rows]
