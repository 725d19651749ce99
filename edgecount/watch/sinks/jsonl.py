"""Readings and events as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Sink
from edgecount.watch.sinks.documents import encode, event_document, reading_document
from edgecount.watch.sinks.pace import Pace
from edgecount.watch.sinks.rotating import RotatingFile

START = b'{"type":"'
"""First bytes of every file: others are of another kind."""


class JsonLines(Sink):
    """A file with a JSON document per line, of readings and of events.

    Args:
        path: the file; full ones are kept beside it, as ``counts.1.jsonl`` and so on.
        every: seconds between readings of a camera; 0 for all. Events are always written.
        size_mb: megabytes at which a file is full.
        keep: full files that are kept.

    Raises:
        ConfigError: a number makes no sense.
    """

    def __init__(
        self, path: str | Path, *, every: float = 1.0, size_mb: float = 100.0, keep: int = 10
    ) -> None:
        self.name = "jsonl"
        self._pace = Pace(every)
        self._file = RotatingFile(path, size_mb * 1e6, keep, start=START, is_whole=_is_whole)

    def open(self) -> None:
        """Open the file; OutputError if it cannot be."""
        self._file.open()

    def reading(self, reading: Reading) -> None:
        """Write a reading, if one of its camera is due; OutputError if it cannot be."""
        if self._pace.is_due(reading):
            self._file.write(encode(reading_document(reading)) + b"\n")
            self._pace.note(reading)

    def event(self, event: Event) -> None:
        """Write an event; OutputError if it cannot be."""
        self._file.write(encode(event_document(event)) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _is_whole(line: bytes) -> bool:
    """Return whether a line is complete: only a whole document has its last brace."""
    try:
        return line.startswith(START) and isinstance(json.loads(line), dict)
    except ValueError:
        return False
