"""Messages on the disk that wait until somebody takes them."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgecount._files import writable
from edgecount._lock import locked
from edgecount.errors import OutputError
from edgecount.watch.sinks.rotating import make_folder

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
INSERT OR IGNORE INTO totals VALUES ('dropped', 0);
"""
_BUSY = 5.0  # s to wait for another connection


@dataclass(frozen=True)
class Message:
    """A message that waits.

    Attributes:
        id: its event's id.
        body: its text.
        tries: how often it was tried in vain.
    """

    id: str
    body: bytes
    tries: int


class Spool:
    """A queue in an SQLite file, which outlives a kill and a power cut at any moment.

    Each call is a transaction of its own, so that several threads may use it. A file that is
    damaged is put aside as ``NAME.damaged``, and a new one is begun.

    Args:
        path: the file; its folder is made.
        most: messages that it holds; the oldest are given up for new ones.
    """

    def __init__(self, path: str | Path, most: int) -> None:
        self._path = Path(path)
        self._most = most
        self._lock = ExitStack()

    def open(self) -> None:
        """Make the file, or look whether it is whole; OutputError if it cannot be used.

        Another process may not use it meanwhile, which would send what is for this one's receiver.
        """
        try:
            path = writable(self._path)
            make_folder(path.parent)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error
        self._lock.close()
        self._lock.enter_context(
            locked(
                path.with_name(f"{path.name}.lock"),
                busy=f"sends what waits in {path}: give each service a spool of its own",
                second="give each service a spool of its own",
            )
        )
        try:
            self._prepare()
        except OutputError as error:
            if not _is_damaged(error.__cause__):
                raise
            aside = path.with_name(f"{path.name}.damaged")
            _log.warning("%s is damaged: put aside as %s", path, aside.name)
            self._put_aside(path, aside)
            self._prepare()

    def close(self) -> None:
        """Leave the file to others."""
        self._lock.close()

    def put(self, identity: str, body: bytes) -> None:
        """Add a message, unless it waits already; it is on the disk when this returns.

        Raises:
            OutputError: it cannot be stored.
        """
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO messages (id, body) VALUES (?, ?)",
                             (identity, body))  # fmt: skip
            (count,) = database.execute("SELECT COUNT(*) FROM messages").fetchone()
            if count > self._most:
                oldest = "SELECT place FROM messages ORDER BY place LIMIT ?"
                over = count - self._most
                database.execute(f"DELETE FROM messages WHERE place IN ({oldest})", (over,))  # noqa: S608 (no text from outside)
                _add_dropped(database, over)

    def next(self) -> Message | None:
        """Return the message to try next: least tried, then oldest; None if there is none."""
        with self._transaction() as database:
            row = database.execute(
                "SELECT id, body, tries FROM messages ORDER BY tries, place LIMIT 1"
            ).fetchone()
        return None if row is None else Message(row[0], bytes(row[1]), row[2])

    def delete(self, message: Message, *, dropped: bool) -> None:
        """Take a message out, as delivered or as given up."""
        with self._transaction() as database:
            database.execute("DELETE FROM messages WHERE id = ?", (message.id,))
            if dropped:
                _add_dropped(database, 1)

    def postpone(self, message: Message) -> None:
        """Note that a message was tried in vain; others go first."""
        with self._transaction() as database:
            database.execute("UPDATE messages SET tries = tries + 1 WHERE id = ?", (message.id,))

    def counts(self) -> tuple[int, int]:
        """Return how many messages wait, and how many were given up since the file was made."""
        with self._transaction() as database:
            (waiting,) = database.execute("SELECT COUNT(*) FROM messages").fetchone()
            (dropped,) = database.execute("SELECT number FROM totals").fetchone()
        return waiting, dropped

    def _prepare(self) -> None:
        with self._told(), closing(self._connect()) as database:
            # One writer now and then: the write-ahead log makes commits one fsync long.
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
            (found,) = database.execute("PRAGMA quick_check").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError("malformed")

    def _put_aside(self, path: Path, aside: Path) -> None:
        try:
            os.replace(path, aside)  # noqa: PTH105 (of one kind with the next)
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._told(), closing(self._connect()) as database, database:
            yield database

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=_BUSY)
        # A message that was taken is on the disk, whatever happens to the power.
        database.execute("PRAGMA synchronous = FULL")
        return database

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"cannot write {self._path}: {error}") from error


def _add_dropped(database: sqlite3.Connection, number: int) -> None:
    database.execute("UPDATE totals SET number = number + ? WHERE name = 'dropped'", (number,))


def _is_damaged(error: BaseException | None) -> bool:
    """Return whether SQLite found what is no database of its own, rather than a full disk."""
    return type(error) is sqlite3.DatabaseError
