"""Connections to the file of a history: the writer's, and those of readers."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from edgecount._files import require_regular
from edgecount.errors import OutputError
from edgecount.watch.history.schema import APPLICATION, prepare, require_history

_log = logging.getLogger(__name__)

_WAIT = 5.0  # s for a lock; readers and the writer never lock each other out, other programs may
_SHORT_WAIT = 1000  # ms, of the writer once it is open: readings queue up meanwhile
_CHECKPOINT = 4_000_000  # bytes: what the log of changes is cut to after one
_CORRUPT, _NOT_A_DATABASE = 11, 26  # SQLite's codes, which Python 3.10 has no names for


def open_database(path: Path) -> sqlite3.Connection:
    """Open a history to write, made if it is missing; a damaged file is moved aside.

    Every commit is on the disk when it returns (`synchronous = FULL`): there is about one a minute
    and camera, and no other way to keep the last of them through a power cut.

    Raises:
        OutputError: the file cannot be opened or made, or is none of a history.
    """
    require_regular(path, OutputError)
    if path.is_dir():
        raise OutputError(f"cannot open the history {path}: expected a file, got a folder")
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise OutputError(f"cannot open the history {path}: {error}") from error
        move_aside(path, error)
    try:
        return _open(path)
    except sqlite3.Error as error:
        raise OutputError(f"cannot begin the history {path} anew: {error}") from error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged, and not just that it is locked."""
    code: int = getattr(error, "sqlite_errorcode", 0)  # from Python 3.11 on
    is_said = "malformed" in str(error) or "not a database" in str(error)
    return is_said or code & 0xFF in (_CORRUPT, _NOT_A_DATABASE)


def move_aside(path: Path, error: sqlite3.Error) -> Path:
    """Give a damaged file, and its log of changes, another name; returns that of the file.

    Raises:
        OutputError: it cannot be renamed.
    """
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    aside = _free(path.with_name(f"{path.name}.damaged-{stamp}"))
    try:
        # The log first: with a new file beside it, it would be taken for that one's.
        for end in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    except OSError as failure:
        raise OutputError(
            f"{path} is damaged ({error}) and cannot be renamed: {failure.strerror or failure}"
        ) from failure
    _log.error(
        "the history %s is damaged (%s): it was renamed to %s and a new one begun; "
        "sqlite3 %s .recover may get back what can be read",
        path,
        error,
        aside,
        aside.name,
    )
    return aside


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Give a connection that only reads, in the thread that asks; None while there is no file.

    It is opened for each question, which takes less than a millisecond, and so belongs to no thread
    and to no file that was moved aside meanwhile. It holds no writer up. One thread may use it
    after the other, as those of a server that ask for the parts of an export do.

    Raises:
        OutputError: the file cannot be read, or is none of a history.
    """
    try:
        if not path.exists():
            yield None
            return
        with closing(_reader(path)) as database:
            require_history(database, path)
            yield database if _has_tables(database) else None
    except OSError as error:
        raise OutputError(f"cannot read the history {path}: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise OutputError(f"cannot read the history {path}: {error}") from error


def _reader(path: Path) -> sqlite3.Connection:
    # The name may have characters that mean something in an address.
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _connected(address)
    except sqlite3.OperationalError as error:
        # SQLite makes a file beside it even to read, which a folder may not allow. One that nobody
        # writes, so that there is no log of changes, can be read without.
        is_refused = "readonly" in str(error) or "unable to open" in str(error)
        if not is_refused or path.with_name(path.name + "-wal").exists():
            raise
        return _connected(f"{address}&immutable=1")


def _connected(address: str) -> sqlite3.Connection:
    database = sqlite3.connect(
        address, timeout=_WAIT, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        database.execute("PRAGMA query_only = ON")
        database.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        database.close()
        raise
    return database


def _has_tables(database: sqlite3.Connection) -> bool:
    version, application = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("user_version", "application_id")
    )
    return bool(version) and application == APPLICATION


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        database.execute(f"PRAGMA journal_size_limit = {_CHECKPOINT}")
        database.execute("PRAGMA synchronous = FULL")
        require_history(database, path)
        _require_log(database, path)
        _require_whole(database)
        prepare(database)
        database.execute(f"PRAGMA busy_timeout = {_SHORT_WAIT}")
    except BaseException:
        database.close()
        raise
    return database


def _require_log(database: sqlite3.Connection, path: Path) -> None:
    if database.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise OutputError(
            f"cannot open the history {path}: its file system allows no log of changes "
            "(WAL): set history.path to a file on a local disk"
        )


def _require_whole(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {' '.join(found.split())}")


def _free(path: Path) -> Path:
    """Return the path, or one like it if that is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
