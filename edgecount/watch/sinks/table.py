"""Readings and events as a table of comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from edgecount._text import valid_text
from edgecount.watch.readings import Event, Reading, Unit
from edgecount.watch.sinks.base import Sink
from edgecount.watch.sinks.pace import Pace
from edgecount.watch.sinks.rotating import RotatingFile

COLUMNS = (
    "time", "camera", "kind", "name", "count", "low", "high", "smooth", "per_m2", "level",
    "in", "out", "since", "picture", "change", "unit",
)  # fmt: skip
"""Columns of every table: they stay when regions and lines are added or removed."""

HEADER = f"{','.join(COLUMNS)}\n".encode()
"""First line of every table."""

START = b"time,camera,"
"""First bytes of every table, also of older versions: other files are of another kind."""


class CsvTable(Sink):
    """A CSV file with a row for the frame, each region and each line of a reading, and for events.

    `kind` is ``frame``, ``region``, ``line``, or an event's. What a kind has not is left empty, as
    are counts of pictures that cannot be trusted.

    Args:
        path: the file; full ones are kept beside it, as ``counts.1.csv`` and so on.
        every: seconds between readings of a camera; 0 for all. Events are always written.
        size_mb: megabytes at which a file is full.
        keep: full files that are kept.

    Raises:
        ConfigError: a number makes no sense.
    """

    def __init__(
        self, path: str | Path, *, every: float = 60.0, size_mb: float = 100.0, keep: int = 10
    ) -> None:
        self.name = "csv"
        self._pace = Pace(every)
        self._file = RotatingFile(path, size_mb * 1e6, keep, HEADER, START, _is_whole)

    def open(self) -> None:
        """Open the file; OutputError if it cannot be."""
        self._file.open()

    def reading(self, reading: Reading) -> None:
        """Write a reading, if one of its camera is due; OutputError if it cannot be."""
        if self._pace.is_due(reading):
            self._file.write(_text(_rows(reading)))
            self._pace.note(reading)

    def event(self, event: Event) -> None:
        """Write an event; OutputError if it cannot be."""
        told = event.to_dict()
        self._file.write(_text([{name: told[name] for name in _OF_EVENTS}]))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_whole(line: bytes) -> bool:
    """Return whether a row is complete: it has all columns, and what may be in the last of them."""
    try:
        (row,) = csv.reader([line.decode()], strict=True)
    except (ValueError, csv.Error):
        return False
    return len(row) == len(COLUMNS) and row[-1] in ("", *get_args(Unit))


_OF_EVENTS = ("time", "camera", "kind", "name", "count", "change", "unit")


def _rows(reading: Reading) -> Iterator[dict[str, Any]]:
    """Yield the frame's row, then those of regions and lines."""
    told = reading.to_dict()
    common = {name: told[name] for name in ("time", "camera", "picture")}
    low, high = told["interval"] or ("", "")
    frame = {"count": told["count"], "smooth": told["smooth"], "low": low, "high": high}
    yield {**common, "kind": "frame", **frame}
    for kind in ("region", "line"):
        for name, numbers in told[f"{kind}s"].items():
            shown = {key: value for key, value in numbers.items() if key in COLUMNS}
            yield {**common, "kind": kind, "name": name, **shown}


def _text(rows: Any) -> bytes:
    """Return rows as lines of UTF-8; a line break in a name is a space, so that rows are lines."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return plain_cell(value) if isinstance(value, str) else value


def plain_cell(text: str) -> str:
    """Return a text that spreadsheets show as it is, in one line.

    What begins like a formula gets an apostrophe in front, or they would run it.
    """
    line = valid_text(" ".join(text.splitlines()))
    return f"'{line}" if line.startswith(("=", "+", "-", "@", "\t")) else line
