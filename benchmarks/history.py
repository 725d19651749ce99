"""Measure the history: what writing takes, how large it grows, how long its questions take.

A year of ten cameras with three regions and a line each is written minute by minute through the
code that the service uses: the last month whole, before it one minute of each hour, whose hours and
days are as many. Then it is asked what the page asks, while nothing is written and while readings
come as fast as they can be taken. Prints tables in Markdown.

    python benchmarks/history.py [--cameras 10] [--regions 3] [--days 365] [--folder DIR]
"""

from __future__ import annotations

import argparse
import math
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.history import History, HistorySettings
from edgecount.watch.history.database import open_database
from edgecount.watch.history.spans import Span
from edgecount.watch.history.store import Store
from edgecount.watch.history.tally import Part
from edgecount.watch.history.zones import DAY, HOUR, MINUTE
from edgecount.watch.readings import LineReading, Reading, RegionReading

MINUTES = 31  # days for which minutes are kept
END = 1_790_000_040  # begin of a minute in September 2026
ROUNDS = 15
HEALTH = SourceHealth(SourceState.LIVE)


def table(*columns: str) -> None:
    """Print the head of a table."""
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


def row(*values: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(str(value) for value in values) + " |", flush=True)


def people(time: int, camera: int) -> float:
    """Return how many there are: more by day, and no two minutes alike."""
    wave = math.sin(time % DAY / DAY * math.pi) ** 2
    return 3 + camera + 40 * wave + 5 * math.sin(time / 97 + camera)


def part_of(time: int, camera: int, regions: int) -> Part:
    """Return the minute of a camera."""
    count = people(time, camera)
    numbers = (count - 2, count, count + 3.3, count + 2.1)
    spans = {
        what: Span(time, 60.0, 300, *numbers, count - 1.7, count + 1.9, None, None)
        for what in ("count", "smooth")
    }
    for region in range(regions):
        share = count / (region + 2)
        spans[f"region:r{region}"] = Span(
            time, 60.0, 300, share / 2, share, share + 1, share + 0.7, None, None, None, None
        )
    spans["line:gate"] = Span(time, 60.0, 300, *[None] * 6, float(time // 60 % 4), 1.0)
    return Part(spans, {})


def write_year(history: History, cameras: int, regions: int, days: int) -> None:
    """Write the days before the end, as they would lie in the file then."""
    database = open_database(history.path)
    store = Store(database, history.zone, time.monotonic)
    keep = HistorySettings(history.path, minutes=MINUTES)
    for day in range(days, 0, -1):
        begin = END - day * DAY
        with store.change():
            for minute in range(begin, begin + DAY, MINUTE if day <= MINUTES else HOUR):
                for camera in range(cameras):
                    store.put_part(f"cam{camera}", part_of(minute, camera, regions))
            store.delete_old(begin + DAY, keep)
    database.close()


def reading_at(time: float, camera: int, regions: int) -> Reading:
    """Return a reading with all that a camera may have."""
    count = people(int(time), camera)
    return Reading(
        camera=f"cam{camera}",
        time=time,
        count=count,
        interval=(count - 2, count + 2),
        smooth=count,
        smooth_interval=(count - 1, count + 1),
        regions={f"r{one}": RegionReading(count / 3, count / 3) for one in range(regions)},
        lines={"gate": LineReading(time - END + 1, 0.0, float(END))},
        picture="good",
        night=False,
        health=HEALTH,
    )


class Writer:
    """Readings of all cameras, five a second of each, as fast as the history takes them."""

    def __init__(self, history: History, cameras: int, regions: int) -> None:
        self._history, self._cameras, self._regions = history, cameras, regions
        self._time = float(END)
        self.plain: list[float] = []  # s of the readings that end no minute
        self.ends: list[float] = []  # s of those that do, and write it

    def write(self, minutes: int) -> None:
        """Write so many minutes of all cameras."""
        for _ in range(minutes * 300):
            for camera in range(self._cameras):
                reading = reading_at(self._time, camera, self._regions)
                begin = time.perf_counter()
                self._history.reading(reading)
                is_first = self._time % MINUTE < 0.1
                (self.ends if is_first else self.plain).append(time.perf_counter() - begin)
            self._time = round(self._time + 0.2, 1)


def questions(history: History) -> dict[str, Callable[[], object]]:
    """Return what the page asks."""

    def series(what: str, days: float, points: int) -> Callable[[], object]:
        return lambda: history.series("cam3", what, END - days * DAY, END, points)

    def export(days: float, resolution: str) -> Callable[[], object]:
        return lambda: sum(
            map(len, history.export(END - days * DAY, END, camera="cam3", resolution=resolution))
        )

    return {
        "an hour by minutes": series("count", 1 / 24, 600),
        "a day, 600 points": series("count", 1, 600),
        "a month, 600 points": series("count", 30, 600),
        "a month of a line": series("line:gate", 30, 600),
        "a year, 600 points": series("region:r0", 365, 600),
        "patterns, 8 weeks": lambda: history.patterns("cam3", "count", now=END),
        "patterns, a year": lambda: history.patterns("cam3", "count", 52, now=END),
        "events": history.events,
        "a day of a camera as CSV, minutes": export(1, "minutes"),
        "a year of a camera as CSV, hours": export(365, "hours"),
    }


def timed(ask: Callable[[], object]) -> tuple[float, float]:
    """Return median and longest time of a question, in ms."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times), max(times)


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something over and over in another thread."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def ms(times: list[float], share: float) -> str:
    """Return a quantile of seconds, in ms."""
    return f"{1000 * sorted(times)[min(int(share * len(times)), len(times) - 1)]:.2f}"


def writing(history: History, options: argparse.Namespace) -> None:
    """Print what readings take, alone and while somebody asks."""
    table(
        "writing", "a reading, median, µs", "a minute of a camera, median, ms", "99%, ms", "max, ms"
    )
    asked = list(questions(history).values())

    def all_questions() -> None:
        for ask in asked:
            ask()

    for name in ("alone", "while another thread asks without a pause"):
        writer = Writer(history, options.cameras, options.regions)
        written = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
        if name == "alone":
            writer.write(10)
            blocks = resource.getrusage(resource.RUSAGE_SELF).ru_oublock - written
            per_minute = blocks * 512 / len(writer.ends)
        else:
            with meanwhile(all_questions):
                writer.write(10)
        median = 1e6 * statistics.median(writer.plain)
        row(name, f"{median:.0f}", *(ms(writer.ends, share) for share in (0.5, 0.99, 1)))
    print(f"\nWritten to the disk: {per_minute / 1000:.0f} kB a minute and camera.")


def asking(history: History, options: argparse.Namespace) -> None:
    """Print how long questions take, alone and while readings come."""
    table("question", "median, ms", "longest, ms", "while it is written: median, ms", "longest, ms")
    writer = Writer(history, options.cameras, options.regions)
    for name, ask in questions(history).items():
        alone = timed(ask)
        with meanwhile(lambda: writer.write(1)):
            busy = timed(ask)
        row(name, *(f"{value:.1f}" for value in (*alone, *busy)))


def sizes(history: History, options: argparse.Namespace) -> None:
    """Print how large the file is, and how long it takes to open."""
    size = history.path.stat().st_size
    database = open_database(history.path)
    table("rows of", "number")
    for name in ("minutes", "hours", "days"):
        row(name, database.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608
    free = database.execute("PRAGMA freelist_count").fetchone()[0]
    database.close()
    begin = time.perf_counter()
    open_database(history.path).close()
    print(
        f"\nThe file has {size / 1e6:.0f} MB, {size / 1e6 / options.cameras:.1f} MB a camera "
        f"({free * 4096 / 1e6:.0f} MB of them free), and is opened and checked in "
        f"{time.perf_counter() - begin:.2f} s."
    )


def main() -> None:
    """Write a history, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--regions", type=int, default=3)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", help="on the disk that is to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        history = History(HistorySettings(Path(folder) / "history.sqlite", minutes=MINUTES))
        begin = time.perf_counter()
        write_year(history, options.cameras, options.regions, options.days)
        print(f"{options.days} days were written in {time.perf_counter() - begin:.0f} s.")
        sizes(history, options)
        history.open()
        asking(history, options)
        writing(history, options)
        history.close()


if __name__ == "__main__":
    main()
