"""Measure what a fleet of boxes asks of a broker, of Prometheus, and of the boxes' histories.

    python benchmarks/fleet.py [--cameras 32 1000 5000] [--per-box 8] [--parts broker metrics ...]

There are no boxes and no cameras: one process sends what so many `edgecount watch` would send, by
the code that they send it with, at the rates of their defaults. The broker is a real Mosquitto, a
real Prometheus scrapes real expositions, and the history is the service's own. Each camera has two
regions, a line, a ground plane and an alarm, which is raised and cleared once an hour.

    apt install mosquitto mosquitto-clients prometheus

Everything shares one machine, so that latencies hold those of the sender and the listener. Prints
tables in Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fleet_load import broker, scraping, storage
from fleet_load.boxes import EVERY, Box, boxes, reading
from fleet_load.programs import find, machine, quantile, row, table

_BYTES_PER_SAMPLE = 1, 2  # on Prometheus' disk, by its documentation
_DAY = 86_400


@contextmanager
def scratch(options: argparse.Namespace) -> Iterator[Path]:
    """Give a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield Path(folder)


def show_messages(options: argparse.Namespace) -> None:
    """Print what a camera and a box send to a broker."""
    box: Box = next(boxes(options.per_box, options.per_box))
    announced = box.announcement()
    sent = box.messages(reading("camera-0", 1.79e9))[:4]  # the fifth says that it is online
    row(
        "a box's start", len(announced), sum(len(one.topic) + len(one.payload) for one in announced)
    )
    row("a reading", len(sent), sum(len(one.topic) + len(one.payload) for one in sent))


def measure_broker(options: argparse.Namespace) -> None:
    """Print how a broker does."""
    print("\n## Broker")
    table("messages of", "number", "bytes of topics and payloads")
    show_messages(options)
    table(
        "cameras", "boxes", "messages/s", "kB/s", "broker's CPU, cores", "its memory, MB",
        "readings: p50, ms", "p99, ms", "lost", "alarms: p50, ms", "p99, ms", "lost",
        "sender late, p99, ms", "all start at once: messages", "s",
    )  # fmt: skip
    runs = [(cameras, False) for cameras in options.cameras]
    runs += [(options.cameras[-1], True)] if options.in_step else []
    for cameras, in_step in runs:
        with scratch(options) as folder:
            load = broker.measure(
                cameras, options.per_box, periods=options.periods, folder=folder,
                every=options.every, in_step=in_step,
            )  # fmt: skip
        row(
            f"{cameras}, all at once" if in_step else cameras,
            load.boxes, f"{load.messages:.0f}", f"{load.bytes / 1000:.0f}", f"{load.cpu:.3f}",
            f"{load.memory / 1e6:.0f}", *delays(load.readings), load.lost,
            *delays(load.events), load.lost_events, f"{1000 * load.lag:.1f}",
            load.retained, f"{load.announced:.1f}",
        )  # fmt: skip


def delays(seconds: Sequence[float]) -> tuple[str, str]:
    """Return median and 99% of delays in ms."""
    if not seconds:
        return "", ""
    return f"{1000 * quantile(seconds, 0.5):.1f}", f"{1000 * quantile(seconds, 0.99):.1f}"


def measure_metrics(options: argparse.Namespace) -> None:
    """Print how Prometheus does."""
    print("\n## Prometheus")
    told = scraping.exposition(options.per_box)
    print(
        f"\nA box with {options.per_box} cameras tells {told.series} series, {told.of_camera} of "
        f"each camera, in {len(told.text) / 1000:.1f} kB, rendered in {1000 * told.seconds:.1f} ms."
    )
    print(f"promtool check metrics: {checked(told.text)}.")
    table(
        "cameras", "boxes", "series", "samples/s", "CPU, cores", "memory, MB", "kB a series",
        "slowest panel", "ms", "disk a day, GB",
    )  # fmt: skip
    for cameras in options.cameras:
        with scratch(options) as folder:
            found = scraping.scrape(
                cameras, options.per_box, interval=options.interval, scrapes=options.scrapes,
                folder=folder,
            )  # fmt: skip
        panel, seconds = max(found.queries.items(), key=lambda one: one[1])
        disk = [found.samples * _DAY * one / 1e9 for one in _BYTES_PER_SAMPLE]
        row(
            cameras, found.targets, found.series, f"{found.samples:.0f}", f"{found.cpu:.3f}",
            f"{found.memory / 1e6:.0f} ({found.idle / 1e6:.0f} without boxes)",
            f"{(found.memory - found.idle) / found.series / 1000:.1f}", panel,
            f"{1000 * seconds:.0f}", f"{disk[0]:.1f} to {disk[1]:.1f}",
        )  # fmt: skip


def checked(text: str) -> str:
    """Return what promtool finds in an exposition."""
    command = [find("promtool", "prometheus"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().replace("\n", "; ") or "nothing to complain of"


def measure_history(options: argparse.Namespace) -> None:
    """Print how a box's history grows."""
    print("\n## History")
    with scratch(options) as folder:
        grown = storage.grow(options.per_box, hours=options.hours, folder=folder)
    daily = grown.rows_per_day * grown.bytes_per_row / 1e6
    print(
        f"\n{grown.hours:g} hours of {grown.cameras} cameras are {grown.rows} rows of minutes in "
        f"{grown.bytes / 1e6:.1f} MB, {grown.bytes_per_row:.0f} bytes each: "
        f"{grown.rows_per_day:.0f} rows and {daily:.2f} MB "
        f"a camera and day. A reading took {1e6 * grown.per_reading:.0f} µs, with one every 5 s."
    )
    table("question", "median, ms")
    for name, seconds in grown.queries.items():
        row(name, f"{1000 * seconds:.1f}")
    table("cameras", "rows of minutes a second", "rows a day", "GB a day, if kept in one such file")
    for cameras in options.cameras:
        rows = cameras * grown.rows_per_day
        gigabytes = rows * grown.bytes_per_row / 1e9
        row(cameras, f"{rows / _DAY:.0f}", f"{rows:.0f}", f"{gigabytes:.2f}")


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "broker": measure_broker,
    "metrics": measure_metrics,
    "history": measure_history,
}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, nargs="+", default=[32, 1000, 5000])
    parser.add_argument("--per-box", type=int, default=8, help="cameras of a box")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--periods", type=int, default=3, help="readings of a camera at the broker")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds between them")
    parser.add_argument("--in-step", action="store_true", help="also: all boxes send at once")
    parser.add_argument("--interval", type=float, default=15.0, help="seconds between scrapes")
    parser.add_argument("--scrapes", type=int, default=3, help="scrapes of each box")
    parser.add_argument("--hours", type=float, default=6.0, help="hours of the history")
    parser.add_argument("--folder", help="on the disk that is to be measured")
    options = parser.parse_args()
    print(f"{machine()}; {versions()}")
    for part in options.parts:
        PARTS[part](options)


def versions() -> str:
    """Return the versions of the programs."""
    commands = (
        [find("mosquitto", "mosquitto"), "-h"],
        [find("prometheus", "prometheus"), "--version"],
    )
    found = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        first = (done.stdout + done.stderr).partition("\n")[0]
        found.append(first.partition(" (")[0].replace(", version", "").replace(" version", ""))
    return ", ".join(found)


if __name__ == "__main__":
    main()
