"""The sink that writes a history."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import tzinfo
from itertools import islice
from pathlib import Path

from edgecount.errors import OutputError
from edgecount.watch.history.database import is_damage, move_aside, open_database
from edgecount.watch.history.lock import FileLock
from edgecount.watch.history.settings import Settings
from edgecount.watch.history.store import Store
from edgecount.watch.history.tally import Crossed, Part, Tally
from edgecount.watch.history.zones import DAY, HOUR, MachineZone
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Backlog, Sink

_log = logging.getLogger(__name__)

_CLOCK_SET = 1_577_836_800  # 2020: before it a clock without battery stands that was not set yet
_RETRY = 5.0  # s between tries while the file cannot be written
_MOST = 4000  # minutes of a camera and events that wait for that
_AT_ONCE = 200  # of them that are written at once, so that readings do not pile up meanwhile
_STEP = 600  # s by which the clock has been set, rather than adjusted
_UNSURE = 4 * HOUR  # for which it must go on without another step to be believed


class HistorySink(Sink):
    """Writes minutes, hours and days of counts, and events, to a SQLite file.

    A minute of a camera is on the disk once a reading of the next minute has come, or none for
    `Tally.hold` seconds (10, unless the camera has few pictures); its hour and day follow within
    ten minutes, or when the history is closed or opened. A
    kill or a power cut loses at most the minute that each camera was in; people who crossed its
    lines in that minute are counted in the one after the restart, as far as the counts of the lines
    go on. While the file, once it is open, cannot be written (a full disk, another program that
    locks it) minutes wait in memory, and `problem` says why.

    Args:
        settings: the file, and how long minutes, hours and days are kept.
        zone: time zone of hours and days; None for this machine's.
        wall: UNIX time in seconds, as `time.time`.
        monotonic: seconds that no setting of the clock changes, as `time.monotonic`.

    Attributes:
        path: the file.
        zone: time zone of hours and days.
        problem: why the file cannot be written at the moment; None while it can.
        lost: minutes and events that had waited for it too long.
    """

    name = "history"

    def __init__(
        self,
        settings: Settings,
        zone: tzinfo | None = None,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = settings.path
        self.zone = zone or MachineZone()
        self.problem: str | None = None
        self.lost = 0
        self._settings = settings
        self._wall, self._monotonic = wall, monotonic
        self._database: sqlite3.Connection | None = None
        self._file = 0, 0  # its device and number, to notice when it was deleted
        self._lock = FileLock(settings.path)
        self._crossed: Mapping[str, Mapping[str, Crossed]] = {}  # of cameras without a tally yet
        self._tallies: dict[str, Tally] = {}
        self._seen: dict[str, float] = {}  # monotonic time of the newest reading
        self._waiting: deque[tuple[str, Part] | Event] = deque()
        self._retry = self._delete = self._trusted = 0.0
        self._offset = wall() - monotonic()
        self._warned = self._is_suspect = False

    def open(self) -> None:
        """Open the file, which is made if it is missing, and moved aside if it is damaged."""
        self._lock.take()
        try:
            self._database = open_database(self.path)
            self._file = _number(self.path)
            self._store = Store(self._database, self.zone, self._monotonic)
            self._crossed, newest = self._store.crossed(), self._store.newest()
        except BaseException as error:
            self._close_database()
            if isinstance(error, sqlite3.Error | OSError):
                raise OutputError(f"cannot open the history {self.path}: {error}") from error
            raise
        self._retry = 0.0
        self._delete = self._trusted = self._monotonic()
        if newest is not None and self._wall() - newest > DAY:
            self._trusted += _UNSURE  # is it the clock, or was nothing counted for so long?
        self.settle()
        self._write()

    def reading(self, reading: Reading) -> None:
        """Add a reading to the minute of its camera."""
        if reading.time < _CLOCK_SET:
            if not self._warned:
                _log.warning("history: the clock is not set: nothing is kept until it is")
            self._warned = True
            return
        camera = reading.camera
        if camera not in self._tallies:
            self._tallies[camera] = Tally(self._crossed.get(camera, {}))
        self._seen[camera] = self._monotonic()
        self._wait(camera, self._tallies[camera].add(reading))
        self.idle()

    def event(self, event: Event) -> None:
        """Write an event."""
        self._waiting.append(event)
        self.idle()

    def idle(self) -> None:
        """Write what is due: minutes of cameras that have fallen silent, and what waits."""
        now = self._monotonic()
        for camera, seen in list(self._seen.items()):
            if now - seen > self._tallies[camera].hold:
                del self._seen[camera]
                self._wait(camera, self._tallies[camera].finish(now - seen))
        self._write()
        self._delete_old()

    def close(self) -> None:
        """Write the minutes in hand, as far as they have come, and close the file."""
        if self._database is None:
            return
        now = self._monotonic()
        for camera, seen in self._seen.items():
            self._wait(camera, self._tallies[camera].finish(now - seen))
        self._seen.clear()
        self._retry = 0.0
        try:
            while self._waiting and self._monotonic() >= self._retry:
                self._write()
            self.settle()
        finally:
            self._close_database()
        if self._waiting:
            _log.warning("history: %d minutes and events could not be written", len(self._waiting))

    def backlog(self) -> Backlog:
        """Return how many minutes and events wait for the file, and why."""
        waiting = len(self._waiting) if self.problem else 0
        return Backlog(waiting, self.lost, self.problem)

    def check_soon(self) -> None:
        """Have the file checked before it is written next; may be called in any thread."""
        self._is_suspect = True

    def settle(self) -> None:
        """Bring hours and days up to the minutes that are on the disk."""
        # What fails here fails where minutes are written, too, and is told of there.
        with suppress(sqlite3.Error), self._store.change():
            self._store.settle()

    def _wait(self, camera: str, parts: list[Part]) -> None:
        self._waiting.extend((camera, part) for part in parts)

    def _write(self) -> None:
        """Write what waits; what cannot be written goes on waiting."""
        if not self._waiting or self._monotonic() < self._retry:
            return
        self._reopen_if_needed()
        some = list(islice(self._waiting, _AT_ONCE))
        try:
            self._put(some)
        except sqlite3.Error as error:
            if is_damage(error):
                self._close_database()
                aside = move_aside(self.path, error)
                raise OutputError(f"{self.path} was damaged and renamed to {aside}") from error
            self._postpone(error)
            return
        for _ in some:
            self._waiting.popleft()
        if self.problem:
            _log.info("history: %s can be written again", self.path)
        self.problem = None

    def _put(self, items: list[tuple[str, Part] | Event]) -> None:
        with self._store.change():
            for item in items:
                if isinstance(item, Event):
                    self._store.put_event(item)
                else:
                    self._store.put_part(*item)

    def _postpone(self, error: sqlite3.Error) -> None:
        self._retry = self._monotonic() + _RETRY
        if self.problem is None:
            _log.warning("history: %s cannot be written now: %s", self.path, error)
        self.problem = str(error)
        while len(self._waiting) > _MOST:
            self._waiting.popleft()
            self.lost += 1

    def _reopen_if_needed(self) -> None:
        """Open the file again if it was deleted or replaced, or may be damaged."""
        if self._is_gone():
            _log.warning("history: %s was deleted or replaced while it was open", self.path)
            # What is not in the file yet goes to where it was moved; to close it does not do that.
            with suppress(sqlite3.Error):
                if self._database is not None:
                    self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        elif not self._is_suspect:
            return
        self._is_suspect = False
        self._close_database()
        waiting, self._waiting = self._waiting, deque()  # for the caller to write
        try:
            self.open()
        finally:
            self._waiting = waiting

    def _is_gone(self) -> bool:
        try:
            return _number(self.path) != self._file
        except OSError:
            return True

    def _delete_old(self) -> None:
        """Delete what is too old once an hour, unless the clock may be wrong.

        A clock that was set by much, or that is far ahead of what is there, must go on for some
        hours before anything is deleted by it.
        """
        now = self._monotonic()
        offset = self._wall() - now
        if abs(offset - self._offset) > _STEP:
            self._trusted = now + _UNSURE
        self._offset = offset
        if now < max(self._delete, self._trusted):
            return
        self._delete = now + HOUR
        # What fails here fails where minutes are written, too, and is told of there.
        with suppress(sqlite3.Error), self._store.change():
            self._store.delete_old(self._wall(), self._settings)

    def _close_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()
        self._lock.release()


def _number(path: Path) -> tuple[int, int]:
    """Return what tells a file from every other one: its device, and its number there."""
    about = path.stat()
    return about.st_dev, about.st_ino
