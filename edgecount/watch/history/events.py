"""Events of the past."""

from __future__ import annotations

import sqlite3
from typing import Any

from edgecount._text import utc_text
from edgecount.watch.readings import Event


def past_events(
    database: sqlite3.Connection, camera: str | None, start: float, end: float, limit: int
) -> list[dict[str, Any]]:
    """Return events from start to end as plain JSON types, the newest first."""
    # A copy of an older version, which nobody has opened to write, has no units.
    has_units = database.execute("PRAGMA user_version").fetchone()[0] > 1
    rows = database.execute(
        "SELECT acknowledged, camera, time, kind, name, change, count, peak, detail, id"
        + (", unit " if has_units else " ")
        + "FROM events WHERE time >= ? AND time < ? AND camera = coalesce(?, camera) "
        "ORDER BY time DESC LIMIT ?",
        (start, end, camera, limit),
    )
    return [
        {
            **Event(*event).to_dict(),
            "acknowledged": None if acknowledged is None else utc_text(acknowledged),
        }
        for acknowledged, *event in rows
    ]
