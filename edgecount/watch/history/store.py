"""Writing of a history: minutes, the hours and days made of them, events, and deletion."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo

from edgecount._text import valid_text
from edgecount.watch.history.settings import Settings
from edgecount.watch.history.spans import COLUMNS, Span, merged
from edgecount.watch.history.tally import Crossed, Part
from edgecount.watch.history.zones import DAY, HOUR, MINUTE, day_start, hour_start
from edgecount.watch.readings import Event

EVERY = 600.0  # s between two times at which hours and days are made
_EVENTS = 100_000  # that are kept: an alarm that flickers must not fill the disk
_PUT = "INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

# Hours and days are made from their minutes. One that had more readings stays: its minutes may have
# been deleted since, and the clock set back.
_ROLL_UP = """
INSERT INTO {table} (series, time, seconds, readings, min, mean, max, p95, low, high, "into", out)
SELECT :series, :start, min(sum(seconds), :end - :start), sum(readings),
    min(min), sum(mean * seconds) / sum(seconds), max(max),
    (SELECT p95 FROM (
        SELECT p95, sum(seconds) OVER (ORDER BY p95) AS until, sum(seconds) OVER () AS whole
        FROM minutes WHERE series = :series AND time >= :start AND time < :end
            AND p95 IS NOT NULL
    ) WHERE until >= 0.95 * whole ORDER BY p95 LIMIT 1),
    sum(low * seconds) / sum(CASE WHEN low IS NULL THEN 0 ELSE seconds END),
    sum(high * seconds) / sum(CASE WHEN high IS NULL THEN 0 ELSE seconds END),
    sum("into"), sum(out)
FROM minutes WHERE series = :series AND time >= :start AND time < :end
HAVING count(*) > 0
ON CONFLICT (series, time) DO UPDATE SET
    seconds = excluded.seconds, readings = excluded.readings, min = excluded.min,
    mean = excluded.mean, max = excluded.max, p95 = excluded.p95, low = excluded.low,
    high = excluded.high, "into" = excluded."into", out = excluded.out
WHERE excluded.readings >= readings
"""


class Store:
    """Statements on an open history; a block `with store.change():` is done as a whole or not.

    Hours and days follow their minutes within `EVERY` seconds: each minute of each series would
    write pages of all three tables otherwise, which wears out a memory card. Those that wait for
    it are noted in the file, so that a kill leaves none behind.

    Args:
        database: the open file.
        zone: time zone of hours and days.
        monotonic: seconds that no setting of the clock changes.
    """

    def __init__(
        self, database: sqlite3.Connection, zone: tzinfo, monotonic: Callable[[], float]
    ) -> None:
        self._database = database
        self._zone = zone
        self._monotonic = monotonic
        self._series: dict[tuple[str, str], int] = {}
        self._noted: set[tuple[str, int, int, int]] = set()  # rows of the table of stale ones
        self._settled = monotonic()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Do all that the block does, on the disk when it ends, or nothing of it."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self._monotonic() - self._settled >= EVERY:
                self.settle()
            self._database.execute("COMMIT")
        except BaseException:
            self._series.clear()  # some of them may have been new,
            self._noted.clear()  # and of these
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def settle(self) -> None:
        """Bring hours and days up to their minutes, within a change."""
        for table, series, start, end in self._database.execute("SELECT * FROM stale").fetchall():
            values = {"series": series, "start": start, "end": end}
            self._database.execute(_ROLL_UP.format(table=table), values)
        self._database.execute("DELETE FROM stale")
        self._noted.clear()
        self._settled = self._monotonic()

    def put_part(self, camera: str, part: Part) -> None:
        """Add the minute of a camera, or a part of one, to what is there of it."""
        for what, span in part.spans.items():
            self._put(self._number(camera, what), span)
        for what, line in part.crossed.items():
            self._database.execute(
                "INSERT OR REPLACE INTO crossed VALUES (?, ?, ?, ?)",
                (self._number(camera, what), *line),
            )

    def put_event(self, event: Event) -> None:
        """Add an event once; one that acknowledges an alarm marks when it was raised, too."""
        self._database.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
            (
                event.id,
                event.time,
                valid_text(event.camera),
                event.kind,
                valid_text(event.name),
                event.change,
                event.count,
                event.peak,
                event.to_dict()["detail"],
                event.unit,
            ),
        )
        if event.kind == "alarm" and event.change == "acknowledged":
            self._database.execute(
                "UPDATE events SET acknowledged = ? WHERE id = (SELECT id FROM events "
                "WHERE camera = ? AND kind = 'alarm' AND name = ? AND change = 'raised' "
                "AND time <= ? ORDER BY time DESC LIMIT 1) AND acknowledged IS NULL",
                (event.time, valid_text(event.camera), valid_text(event.name), event.time),
            )

    def crossed(self) -> dict[str, dict[str, Crossed]]:
        """Return the counts of lines when they were last noted, by camera and series."""
        found: dict[str, dict[str, Crossed]] = {}
        for camera, what, *line in self._database.execute(
            'SELECT camera, what, since, "into", out FROM crossed JOIN series ON id = series'
        ):
            found.setdefault(camera, {})[what] = Crossed(*line)
        return found

    def delete_old(self, now: float, keep: Settings) -> None:
        """Delete what is too old, at most a day's worth of each table at once.

        A large part would hold up whoever reads, and a clock that is wrong takes little with it.
        """
        self.settle()  # before their minutes are gone
        days = {"minutes": max(keep.minutes, 2), "hours": keep.hours, "days": keep.days}
        for table, kept in days.items():
            until = now - kept * DAY
            for (number,) in self._database.execute("SELECT id FROM series").fetchall():
                self._database.execute(
                    f"DELETE FROM {table} WHERE series = ?1 AND time < ?2 AND time < "  # noqa: S608
                    f"(SELECT min(time) FROM {table} WHERE series = ?1) + ?3",
                    (number, until, DAY),
                )
        self._database.execute(
            "DELETE FROM events WHERE time < ? AND time < (SELECT min(time) FROM events) + ?",
            (now - keep.hours * DAY, DAY),
        )
        self._database.execute(
            "DELETE FROM events WHERE id IN "
            "(SELECT id FROM events ORDER BY time DESC LIMIT -1 OFFSET ?)",
            (_EVENTS,),
        )

    def newest(self) -> int | None:
        """Return when the newest minute began; None of an empty history."""
        newest: int | None = self._database.execute("SELECT max(time) FROM minutes").fetchone()[0]
        return newest

    def _number(self, camera: str, what: str) -> int:
        """Return the number of a series, which is made if it is new."""
        key = valid_text(camera), valid_text(what)
        if key not in self._series:
            self._database.execute("INSERT OR IGNORE INTO series (camera, what) VALUES (?, ?)", key)
            (self._series[key],) = self._database.execute(
                "SELECT id FROM series WHERE camera = ? AND what = ?", key
            ).fetchone()
        return self._series[key]

    def _put(self, series: int, span: Span) -> None:
        there = self._database.execute(
            f"SELECT {COLUMNS} FROM minutes WHERE series = ? AND time = ?",  # noqa: S608
            (series, span.time),
        ).fetchone()
        if there:
            span = merged([Span(*there), span], span.time, MINUTE)
        self._database.execute(_PUT, (series, *span))
        hour = hour_start(span.time, self._zone)
        day = day_start(span.time, self._zone)
        self._note("hours", series, hour, hour + HOUR)
        self._note("days", series, day, day_start(day, self._zone, 1))

    def _note(self, table: str, series: int, start: int, end: int) -> None:
        row = table, series, start, end
        if row not in self._noted:
            self._database.execute("INSERT OR REPLACE INTO stale VALUES (?, ?, ?, ?)", row)
            self._noted.add(row)
