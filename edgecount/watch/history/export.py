"""A history as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from edgecount.watch.history.spans import COLUMNS, Span
from edgecount.watch.history.zones import local
from edgecount.watch.sinks.table import plain_cell

_HEADING = (
    *("time", "camera", "what", "seconds", "readings"),
    *("min", "mean", "max", "p95", "low", "high", "in", "out"),
)
_CHUNK = 1000  # rows that are read at once


def csv_rows(
    database: sqlite3.Connection | None,
    chosen: Sequence[tuple[int, str, str]],
    table: str,
    times: tuple[float, float],
    zone: tzinfo,
) -> Iterator[str]:
    """Give the heading and the rows of a table as CSV, some rows at a time.

    Args:
        database: the history; None of an empty one.
        chosen: number, camera and what of each series.
        table: minutes, hours or days.
        times: from when to when, UNIX time in seconds.
        zone: time zone of the times in the table.
    """
    yield _csv([_HEADING])
    if database is None:
        return
    start, end = times
    for number, camera, what in chosen:
        after = start
        # Each piece is a question of its own: a download that takes hours holds nothing up.
        while rows := database.execute(
            f"SELECT {COLUMNS} FROM {table} "  # noqa: S608 (one of ours)
            "WHERE series = ? AND time >= ? AND time < ? ORDER BY time LIMIT ?",
            (number, after, end, _CHUNK),
        ).fetchall():
            spans = [Span(*row) for row in rows]
            yield _csv([_cells(span, camera, what, zone) for span in spans])
            after = spans[-1].time + 1


def _cells(span: Span, camera: str, what: str, zone: tzinfo) -> list[object]:
    numbers = (None if value is None else round(value, 3) for value in span[1:])
    return [local(span.time, zone).isoformat(), plain_cell(camera), plain_cell(what), *numbers]


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
