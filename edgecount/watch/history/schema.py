"""The tables of a history, made and brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from edgecount.errors import OutputError

APPLICATION = 0x45434854  # "ECHT" in the file's header: a history of edgecount
TABLES = ("minutes", "hours", "days")

_SPANS = """
CREATE TABLE {name} (
    series INTEGER NOT NULL,
    time INTEGER NOT NULL,
    seconds REAL NOT NULL,
    readings INTEGER NOT NULL,
    min REAL, mean REAL, max REAL, p95 REAL, low REAL, high REAL,
    "into" REAL, out REAL,
    PRIMARY KEY (series, time)
) WITHOUT ROWID;
"""

_FIRST = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    camera TEXT NOT NULL,
    what TEXT NOT NULL,
    UNIQUE (camera, what)
);
CREATE TABLE crossed (
    series INTEGER PRIMARY KEY,
    since REAL NOT NULL,
    "into" REAL NOT NULL,
    out REAL NOT NULL
);
CREATE TABLE stale (
    name TEXT NOT NULL, -- of the table that lacks something
    series INTEGER NOT NULL,
    time INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (name, series, time)
) WITHOUT ROWID;
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    time REAL NOT NULL,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    change TEXT NOT NULL,
    count REAL,
    peak REAL,
    detail TEXT NOT NULL,
    acknowledged REAL
);
CREATE INDEX events_by_time ON events (time);
""" + "".join(_SPANS.format(name=name) for name in TABLES)

# Events of version 1 tell their unit in words alone.
_UNITS = """
ALTER TABLE events ADD COLUMN unit TEXT;
UPDATE events SET unit = CASE
    WHEN detail LIKE '%people per square metre' THEN 'people/m2'
    WHEN detail LIKE '% people' THEN 'people' END
    WHERE kind = 'alarm';
"""

STEPS: Sequence[str] = (_FIRST, _UNITS)
"""Scripts of SQL; the file's user_version says how many of them it has had."""


def require_history(database: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is none of ours, before anything in it is changed.

    Raises:
        OutputError: the file is of a newer version, or a database of something else.
        sqlite3.Error: the file is damaged, or no database.
    """
    version = _number(database, "user_version")
    is_ours = _number(database, "application_id") == APPLICATION
    if not is_ours and (version or _number(database, "schema_version")):
        raise OutputError(
            f"{path} is a database of another program, expected a history of edgecount watch: name "
            "another file (history.path in a config)"
        )
    if version > len(STEPS):
        raise OutputError(
            f"{path} is of a newer edgecount: expected tables of version {len(STEPS)} or older, "
            f"got {version}: install the newer edgecount, or set history.path to another file"
        )


def why_not_history(path: Path) -> str | None:
    """Return why an existing file is no history, by its header; None: it may be one, or is empty.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return None
    if not header.startswith(b"SQLite format 3\0"):
        return "it is no database"
    schema, version, application = (
        int.from_bytes(header[at : at + 4], "big") for at in (40, 60, 68)
    )
    another = application != APPLICATION and (version or schema)
    return "it is a database of another program" if another else None


def prepare(database: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older version up to date; all of a step or nothing.

    Raises:
        sqlite3.Error: the file is damaged, or cannot be written.
    """
    for step in range(_number(database, "user_version"), len(STEPS)):
        database.executescript(
            f"BEGIN IMMEDIATE; {STEPS[step]} PRAGMA application_id = {APPLICATION};"
            f"PRAGMA user_version = {step + 1}; COMMIT;"
        )


def _number(database: sqlite3.Connection, pragma: str) -> int:
    return int(database.execute(f"PRAGMA {pragma}").fetchone()[0])
