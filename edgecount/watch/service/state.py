"""Counts of lines and alarms that survive a restart, in a file."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import replacing
from edgecount._lock import locked
from edgecount.errors import OutputError
from edgecount.watch.camera.alarms import ended
from edgecount.watch.readings import AlarmStatus, Kept, LineReading
from edgecount.watch.sinks.base import Sink

if TYPE_CHECKING:
    from edgecount.watch.readings import Event, Reading

_log = logging.getLogger(__name__)

_EVERY = 10.0  # s between two writings of counts: so much is lost when the power is
_MOST = 10_000_000  # characters; longer files are none of ours


class State(Sink):
    """A sink that keeps the counts of lines and the alarms of each camera in a file.

    Args:
        path: the file.
        every: seconds between two writings; what changes an alarm is written at once.
    """

    name = "state"

    def __init__(self, path: Path, every: float = _EVERY) -> None:
        self._path, self._every = path, every
        self._lock = ExitStack()
        self._may_write = True
        self._updated: set[str] = set()  # cameras that this run has told of
        self._kept = load_state(path)
        self._written: float | None = None
        self._is_new = False

    def kept(self, camera: str) -> Kept:
        """Return what is kept of a camera; from any thread."""
        return self._kept.get(camera, Kept())

    def end(self, going_on: Mapping[str, Collection[str]], wall: float) -> list[Event]:
        """Return the events of raised alarms that are there no more.

        Args:
            going_on: names of the alarms that go on, by camera.
            wall: UNIX time in seconds.
        """
        return [
            ended(camera, name, wall, None, status.peak, status.unit)
            for camera, kept in self._kept.items()
            for name, status in kept.alarms.items()
            if status.raised and name not in going_on.get(camera, ())
        ]

    def open(self) -> None:
        """Keep a second service from the file; OutputError if one keeps its counts there."""
        self._lock.close()
        self._may_write = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._lock.enter_context(
            locked(
                self._path.with_name(f"{self._path.name}.lock"),
                busy=f"keeps its counts in {self._path}: give each service a history of its own",
                second="give each service a history of its own",
            )
        )
        self._may_write = True
        # What another service has kept there until now.
        own = {camera: self._kept[camera] for camera in self._updated}
        self._kept = {**load_state(self._path), **own}

    def reading(self, reading: Reading) -> None:
        """Take the counts of a camera's lines, and its alarms."""
        self._keep(reading.camera, Kept(reading.lines, reading.alarms))
        self.idle()

    def event(self, event: Event) -> None:
        """Take what changes an alarm; OutputError if it cannot be written."""
        if event.kind != "alarm":
            return
        kept = self.kept(event.camera)
        status = _changed(kept.alarms.get(event.name, AlarmStatus()), event)
        self._keep(event.camera, replace(kept, alarms={**kept.alarms, event.name: status}))
        self._write()

    def idle(self) -> None:
        """Write what is new if that was not done lately; OutputError if it cannot be written."""
        now = time.monotonic()
        if self._is_new and (self._written is None or now - self._written >= self._every):
            self._write()
            self._written = now  # if it failed, the next one is not to be taken for a success

    def close(self) -> None:
        """Write what is new; OutputError if it cannot be written."""
        with self._lock:
            if self._is_new and self._may_write:
                self._write()

    def _keep(self, camera: str, kept: Kept) -> None:
        if kept != self._kept.get(camera, Kept()):
            self._kept[camera] = kept
            self._updated.add(camera)
            self._is_new = True

    def _write(self) -> None:
        kept = self._kept.items()
        document = {
            "version": 1,
            "lines": {camera: _plain(one.lines) for camera, one in kept},
            "alarms": {camera: _plain(one.alarms) for camera, one in kept},
        }
        with replacing(self._path) as path:
            path.write_text(json.dumps(document), encoding="utf-8")
        self._is_new = False


def _changed(status: AlarmStatus, event: Event) -> AlarmStatus:
    """Return the state of an alarm after an event of it."""
    if event.change == "raised":
        return replace(status, raised=True, since=event.time, peak=event.peak, unit=event.unit)
    if event.change == "cleared":
        return AlarmStatus(has_data=status.has_data, cleared=event.time)
    if event.change == "acknowledged":
        return replace(status, acknowledged=True)
    return replace(status, has_data=event.change != "lost")


def _plain(named: Mapping[str, LineReading] | Mapping[str, AlarmStatus]) -> dict[str, Any]:
    return {name: vars(one) for name, one in named.items()}


def load_state(path: Path) -> dict[str, Kept]:
    """Return what a file keeps of each camera; nothing if there is no such file.

    A file that cannot be read is logged, and lines and alarms start from scratch.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _read(json.loads(file.read(_MOST)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _log.warning("%s: counts of lines start at 0, and alarms anew: %s", path, error)
        return {}


def _read(document: Any) -> dict[str, Kept]:
    lines = {
        camera: {name: _line(one) for name, one in named.items()}
        for camera, named in document["lines"].items()
    }
    alarms = {
        camera: {name: _alarm(one) for name, one in named.items()}
        for camera, named in document.get("alarms", {}).items()
    }
    return {
        camera: Kept(lines.get(camera, {}), alarms.get(camera, {}))
        for camera in sorted(lines.keys() | alarms.keys())
    }


def _line(one: Mapping[str, Any]) -> LineReading:
    into, out, since = float(one["into"]), float(one["out"]), float(one["since"])
    if not all(map(math.isfinite, (into, out, since))) or into < 0 or out < 0:
        raise ValueError(f"expected people, 0 or more, got {one!r}")
    return LineReading(into, out, since)


def _alarm(one: Mapping[str, Any]) -> AlarmStatus:
    status = AlarmStatus(
        raised=one["raised"],
        acknowledged=one["acknowledged"],
        has_data=one["has_data"],
        since=_number(one["since"]),
        peak=_number(one["peak"]),
        cleared=_number(one["cleared"]),
        unit=one.get("unit"),
    )
    if not all(isinstance(one[name], bool) for name in ("raised", "acknowledged", "has_data")):
        raise ValueError(f"expected true or false, got {one!r}")
    if status.unit not in (None, "people", "people/m2"):
        raise ValueError(f"expected a unit, got {one!r}")
    return status


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if not math.isfinite(number := float(value)):
        raise ValueError(f"expected a number, got {value!r}")
    return number
