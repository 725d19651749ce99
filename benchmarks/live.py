"""Measure live cameras: the age of what is counted, how soon events are noticed, decoding's share.

The cameras are real servers of RTSP (GStreamer; see tests/cameras/rtsp_server.py for its packages)
and of MJPEG over HTTP on this machine, whose pictures carry the time at which they were drawn. The
engine sleeps. Prints tables in Markdown.

    python benchmarks/live.py [--part age|events|decoding] [--seconds 8] [--rounds 5]
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cameras"))

from camera_servers import CameraServer, burnt_in, silent_listener
from edgecount import EdgeCounter, LiveOptions, LiveSource, SourceState
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.sources.prefetch import Ended
from timed_backend import TimedBackend

TIMEOUT = 2.0  # s, of stalls and of opening, in the part on events
RATES = (2, 10, 25, 60)  # pictures per second
ENGINES = (0.02, 0.1, 0.3)  # s
VIDEOS = (
    ("h264", (640, 480), 10),
    ("h264", (640, 480), 25),
    ("h264", (1920, 1080), 10),
    ("h265", (640, 480), 10),
    ("mjpeg", (640, 480), 25),
)


def table(*columns: str) -> None:
    """Print the head of a table."""
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


def row(*values: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(str(value) for value in values) + " |", flush=True)


def ages(kind: str, fps: float, engine: float, seconds: float) -> None:
    """Count a camera for some seconds, and print how old its pictures were at the end of a run."""
    backend = TimedBackend(engine)
    with (
        CameraServer(kind, {"/cam": {"fps": fps}}) as server,
        EdgeCounter(DEFAULT_MODEL, backend=backend) as counter,
    ):
        source = LiveSource(server.url())
        end: float | None = None
        for _ in counter.stream(source):
            end = end or time.monotonic() + seconds
            if time.monotonic() > end:
                break
        health = source.health()
    assert health.frames_in == health.counted + health.dropped
    runs = backend.runs[2:]  # the first ones find a cold machine
    took = statistics.median(run.took for run in runs)
    bound = 2 / fps + took
    found = sorted(run.age for run in runs)
    over = sum(age > bound for age in found) / len(found)
    row(
        kind,
        fps,
        f"{took * 1e3:.0f}",
        len(runs),
        f"{statistics.median(found) * 1e3:.0f}",
        f"{found[-1] * 1e3:.0f}",
        f"{bound * 1e3:.0f}",
        f"{over:.0%}",
        f"{health.dropped / health.frames_in:.0%}",
    )


def part_age(seconds: float) -> None:
    """Print the ages of cameras and engines of all paces."""
    print("\n## Age of the counted picture, from its drawing to the end of the engine's run")
    table(
        "server",
        "pictures/s",
        "engine ms",
        "counted",
        "median ms",
        "worst ms",
        "two pictures + engine ms",
        "over that",
        "dropped",
    )
    for kind in ("rtsp", "http"):
        for fps in RATES:
            for engine in ENGINES:
                ages(kind, fps, engine, max(seconds, 8 / fps))


class Reader:
    """A thread that takes a camera's pictures, and notes when each came."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.times: list[float] = []
        self._reader = source.reader()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._reader.take()
                self.times.append(time.monotonic())
        except Ended:
            return

    def until(self, condition: Callable[[], bool]) -> float:
        """Return the seconds until something is so."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() < begin + 60, self.source.health()
            time.sleep(0.002)
        return time.monotonic() - begin

    def until_picture(self) -> float:
        """Return the seconds until another picture comes, and the camera is well."""
        seen = len(self.times)
        self.until(lambda: len(self.times) > seen)
        return self.until(lambda: self.source.health().state is SourceState.LIVE)

    def close(self) -> None:
        """End the thread."""
        self._reader.close()
        self._thread.join()


@contextmanager
def watched(server: CameraServer) -> Iterator[Reader]:
    """Read a camera."""
    options = LiveOptions(open_timeout=TIMEOUT, first_timeout=TIMEOUT, stall_timeout=TIMEOUT)
    reader = Reader(LiveSource(server.url(), options))
    try:
        reader.until_picture()
        yield reader
    finally:
        reader.close()


def event(server: CameraServer, begin: Callable[[], None], end: Callable[[], None]) -> list[float]:
    """Return the seconds until an event is noticed, and from its end to the next picture."""
    with watched(server) as reader:
        time.sleep(0.5)
        begin()
        noticed = reader.until(lambda: reader.source.health().state is not SourceState.LIVE)
        time.sleep(0.5)
        end()
        ended = time.monotonic()
        reader.until_picture()
        return [noticed, reader.times[-1] - ended]


def resized(server: CameraServer) -> list[float]:
    """Return the seconds until another size is noticed, and back."""
    with watched(server) as reader:
        found = []
        for size in ((320, 240), (640, 480)):
            server.order(size=list(size))
            found.append(
                reader.until(lambda size=size: reader.source.health().size == size)  # type: ignore[misc]
            )
        return found


def never_answers(kind: str) -> list[float]:
    """Return the seconds until it is noticed that a server says nothing."""
    with silent_listener() as port:
        options = LiveOptions(open_timeout=TIMEOUT)
        source = LiveSource(f"{kind}://127.0.0.1:{port}/cam", options)
        with source.reader():
            begin = time.monotonic()
            while source.health().error is None:
                time.sleep(0.002)
            return [time.monotonic() - begin]


def part_events(rounds: int) -> None:
    """Print how soon events are noticed, and how soon cameras are back."""
    print(f"\n## Events; time-outs of {TIMEOUT:g} s, 10 pictures per second, {rounds} rounds")
    table("server", "event", "noticed s, median", "worst", "back s, median", "worst")
    for kind in ("rtsp", "http"):
        with CameraServer(kind, {"/cam": {"fps": 10}}) as server:
            events: dict[str, Callable[[], list[float]]] = {
                "killed, started again": lambda s=server: event(s, s.kill, s.restart),  # type: ignore[misc]
                "halted, goes on": lambda s=server: event(s, s.stop, s.go_on),  # type: ignore[misc]
                "no pictures, goes on": lambda s=server: event(  # type: ignore[misc]
                    s, lambda: s.order(frozen=True), lambda: s.order(frozen=False)
                ),
                "smaller, larger again": lambda s=server: resized(s),  # type: ignore[misc]
                "never answers": lambda k=kind: never_answers(k),  # type: ignore[misc]
            }
            for name, run in events.items():
                found = [run() for _ in range(rounds)]
                cells = []
                for values in zip(*found, strict=True):
                    cells += [f"{statistics.median(values):.2f}", f"{max(values):.2f}"]
                row(kind, name, *cells, *[""] * (4 - len(cells)))


def part_decoding(seconds: float) -> None:
    """Print what reading and decoding take of a processor core, with 5 pictures taken a second."""
    print("\n## Reading and decoding, newest picture, 5 a second taken")
    table("codec", "size", "pictures/s", "share of a core", "ms per picture")
    for codec, (width, height), fps in VIDEOS:
        camera = {"codec": codec, "size": [width, height], "fps": fps, "detail": True}
        with CameraServer("rtsp", {"/cam": camera}) as server:
            source = LiveSource(server.url())
            with source.reader() as reader:
                burnt_in(reader.take(30).image)
                time.sleep(1)
                before, begin, used = source.health(), time.monotonic(), time.process_time()
                while time.monotonic() < begin + seconds:
                    reader.take(30)
                    time.sleep(0.2)
                share = (time.process_time() - used) / (time.monotonic() - begin)
                pictures = source.health().frames_in - before.frames_in
                rate = pictures / (time.monotonic() - begin)
        row(codec, f"{width}x{height}", f"{rate:.1f}", f"{share:.1%}", f"{share / rate * 1e3:.1f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--part", choices=("age", "events", "decoding"))
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    logging.getLogger("edgecount").setLevel(logging.ERROR)  # what happens is meant to
    if given.part in (None, "age"):
        part_age(given.seconds)
    if given.part in (None, "events"):
        part_events(given.rounds)
    if given.part in (None, "decoding"):
        part_decoding(given.seconds)


if __name__ == "__main__":
    main()
