"""The load of a history: how a box's file grows, and how long its questions take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path

from edgecount.watch.history import History, HistorySettings
from edgecount.watch.history.database import open_database
from edgecount.watch.history.zones import DAY, HOUR
from fleet_load.boxes import boxes, reading

_END = 1_790_000_040 // DAY * DAY  # midnight in September 2026
_STEP = 5.0  # s between readings: minutes are as many as with five a second, and as large
_ROUNDS = 9


@dataclass(frozen=True)
class Growth:
    """How a box's history grows.

    Attributes:
        cameras: cameras of the box.
        hours: hours that were written.
        rows: rows of minutes.
        bytes: size of the file.
        per_reading: seconds that a reading takes on average, writing of minutes included.
        queries: seconds that questions take, the median of some rounds.
    """

    cameras: int
    hours: float
    rows: int
    bytes: int
    per_reading: float
    queries: Mapping[str, float]

    @property
    def rows_per_day(self) -> float:
        """Rows of minutes of a camera and day."""
        return self.rows / self.cameras / self.hours * 24

    @property
    def bytes_per_row(self) -> float:
        """Bytes of the file per row of minutes."""
        return self.bytes / self.rows


def grow(per_box: int, *, hours: float, folder: Path) -> Growth:
    """Write a box's readings to a real history, faster than they would come.

    Args:
        per_box: cameras of the box.
        hours: hours to write.
        folder: for the file, on the disk that is to be measured.
    """
    box = next(boxes(per_box, per_box))
    history = History(HistorySettings(folder / "history.sqlite"), zone=timezone.utc)
    history.open()
    begin, readings = time.perf_counter(), 0
    moment = _END - hours * HOUR
    while moment < _END:
        for seed, camera in enumerate(box.cameras):
            history.reading(reading(camera, moment, seed))
            readings += 1
        moment += _STEP
    per_reading = (time.perf_counter() - begin) / readings
    queries = _questions(history, hours)
    history.close()  # writes the last minute, and the log of changes into the file
    database = open_database(history.path)
    (rows,) = database.execute("SELECT count(*) FROM minutes").fetchone()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    size = history.path.stat().st_size
    return Growth(per_box, hours, rows, size, per_reading, queries)


def _questions(history: History, hours: float) -> dict[str, float]:
    start = _END - hours * HOUR

    def export() -> None:
        pieces = history.export(start, _END, camera="camera-0", resolution="minutes")
        sum(map(len, pieces))

    questions: dict[str, Callable[[], object]] = {
        "an hour by minutes": lambda: history.series("camera-0", "count", _END - HOUR, _END, 600),
        "all hours, 600 points": lambda: history.series("camera-0", "count", start, _END, 600),
        "all hours as CSV, minutes": export,
    }
    return {name: _median(ask) for name, ask in questions.items()}


def _median(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
