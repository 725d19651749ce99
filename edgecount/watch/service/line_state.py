"""Counts of lines that survive a restart, in a file."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import replacing
from edgecount.watch.readings import LineReading
from edgecount.watch.sinks.base import Sink

if TYPE_CHECKING:
    from edgecount.watch.readings import Event, Reading

_log = logging.getLogger(__name__)

_EVERY = 10.0  # s between two writings: so much is lost when the power is
_MOST = 10_000_000  # characters; longer files are none of ours


class LineState(Sink):
    """A sink that keeps the counts of lines in a file.

    Args:
        path: the file.
        every: seconds between two writings.
    """

    name = "state of lines"

    def __init__(self, path: Path, every: float = _EVERY) -> None:
        self._path, self._every = path, every
        self._lines: dict[str, Mapping[str, LineReading]] = dict(load_lines(path))
        self._written: float | None = None
        self._is_new = False

    def reading(self, reading: Reading) -> None:
        """Take the counts of a camera's lines."""
        if reading.lines != self._lines.get(reading.camera, {}):
            self._lines[reading.camera] = reading.lines
            self._is_new = True
        self.idle()

    def event(self, event: Event) -> None:
        """Take an event, of which nothing is kept."""

    def idle(self) -> None:
        """Write the counts if they are new and were not written lately."""
        now = time.monotonic()
        if self._is_new and (self._written is None or now - self._written >= self._every):
            self._written = now
            self._write()

    def close(self) -> None:
        """Write the counts that are new."""
        if self._is_new:
            self._write()

    def _write(self) -> None:
        cameras = {
            camera: {name: vars(line) for name, line in lines.items()}
            for camera, lines in self._lines.items()
        }
        with replacing(self._path) as path:
            path.write_text(json.dumps({"version": 1, "lines": cameras}), encoding="utf-8")
        self._is_new = False


def load_lines(path: Path | None) -> dict[str, dict[str, LineReading]]:
    """Return the counts of lines in a file by camera and line; none if there is no such file.

    A file that cannot be read is told in the log, and counts start at 0.
    """
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            return _read(json.loads(file.read(_MOST)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("%s: counts of lines start at 0: %s", path, error)
        return {}


def _read(document: Any) -> dict[str, dict[str, LineReading]]:
    return {
        camera: {name: _line(one) for name, one in lines.items()}
        for camera, lines in document["lines"].items()
    }


def _line(one: Mapping[str, Any]) -> LineReading:
    into, out, since = float(one["into"]), float(one["out"]), float(one["since"])
    if not all(map(math.isfinite, (into, out, since))) or into < 0 or out < 0:
        raise ValueError(f"expected people, 0 or more, got {one!r}")
    return LineReading(into, out, since)
