"""Measure what watching costs beside counting alone: CPU time of the process for each picture.

The cameras play rendered pictures over and over. They are counted by `EdgeCounter.stream_many`,
then by the service with regions, lines, alarms, a ground plane, checks of the picture, and files
and history for its counts; then with its page served to a program of its own, which takes readings,
heads and pictures of all cameras by the WebSocket as the page in a browser does. CPU time is that
of the service's process, the page's server included, and the browser's not. Prints a table in
Markdown.

    python benchmarks/watch.py [--model edgecount-s] [--cameras 3] [--fps 2] [--seconds 20]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from edgecount import EdgeCounter, LiveSource
from edgecount.scenes import render_clip
from edgecount.watch.config import (
    AlarmConfig,
    CameraConfig,
    GroundConfig,
    HistoryConfig,
    LineConfig,
    RegionConfig,
    WatchConfig,
)
from edgecount.watch.page import PageServer
from edgecount.watch.readings import Event, Reading
from edgecount.watch.service import Service, counting
from edgecount.watch.sinks.base import Sink
from edgecount.watch.sinks.jsonl import JsonLines
from edgecount.watch.sinks.table import CsvTable

PICTURES = 12
LEFT = RegionConfig(((0, 0.5), (0.5, 0.5), (0.5, 1), (0, 1)))
RIGHT = RegionConfig(((0.5, 0.5), (1, 0.5), (1, 1), (0.5, 1)))
WARM_UP = 3.0  # s


class Replay:
    """A clip that plays pictures over and over, as `LiveSource` opens it."""

    given = 0

    def __init__(self, images: Sequence[np.ndarray], fps: float) -> None:
        self._images, self._fps = images, fps
        self._stopped = threading.Event()

    def pictures(self) -> Iterator[tuple[np.ndarray, int, float]]:
        """Yield the pictures with their numbers and times in seconds."""
        begin = time.monotonic()
        while not self._stopped.wait(max(begin + self.given / self._fps - time.monotonic(), 0)):
            image = self._images[self.given % len(self._images)].copy()
            yield image, self.given, self.given / self._fps
            self.given += 1

    def fault(self) -> str:
        """Return an empty text: nothing goes wrong."""
        return ""

    def stop(self) -> None:
        """End the pictures."""
        self._stopped.set()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def render(size: tuple[int, int], people: int) -> list[np.ndarray]:
    """Return pictures of a rendered crowd that walks, there and back."""
    clip = render_clip(people, frames=PICTURES, fps=5, size=size, seed=3, light="day")
    there = [np.asarray(scene.image) for scene in clip]
    return there + there[::-1]


def sources(images: list[np.ndarray], cameras: int, fps: float) -> dict[str, LiveSource]:
    """Return the cameras by their ids."""
    names = [f"c{number}" for number in range(cameras)]
    return {
        name: LiveSource("rtsp://replay", name=name, open_clip=lambda: Replay(images, fps))
        for name in names
    }


def section() -> CameraConfig:
    """Return a camera's section that asks for everything."""
    return CameraConfig(
        "rtsp://replay",
        rate=None,
        regions={"left": LEFT, "right": RIGHT},
        excluded=(((0.9, 0), (1, 0), (1, 0.1), (0.9, 0.1)),),
        lines={"middle": LineConfig((0.5, 1), (0.5, 0))},
        ground=GroundConfig(((0.3, 0.5), (0.7, 0.5), (1, 1), (0, 1)), 6, 9),
        alarms={"crowded": AlarmConfig(30, region="left"), "dense": AlarmConfig(3, by="low")},
    )


class Meter:
    """The CPU time of this process for each picture, from the warm-up to the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._begin = seconds, time.monotonic()
        self._from: tuple[float, int] | None = None
        self._pictures = 0
        self.ms = 0.0

    def see(self) -> bool:
        """Note a picture; returns whether it was the last."""
        self._pictures += 1
        passed = time.monotonic() - self._begin
        if passed < WARM_UP:
            return False
        used = time.process_time()
        if self._from is None:
            self._from = used, self._pictures
            return False
        self.ms = 1e3 * (used - self._from[0]) / (self._pictures - self._from[1])
        return passed > WARM_UP + self._seconds


def count_alone(counter: EdgeCounter, cameras: dict[str, LiveSource], seconds: float) -> float:
    """Return the ms of CPU time for each picture of counting alone."""
    meter = Meter(seconds)
    with closing(counter.stream_many(list(cameras.values()))) as results:
        for _ in results:
            if meter.see():
                break
    return meter.ms


class Metered(Sink):
    """A sink that counts pictures."""

    name = "meter"

    def __init__(self, seconds: float) -> None:
        self.meter, self.done = Meter(seconds), threading.Event()

    def reading(self, reading: Reading) -> None:  # noqa: ARG002
        """Note a picture."""
        if self.meter.see():
            self.done.set()

    def event(self, event: Event) -> None:
        """Take no notice."""


def look(url: str) -> None:
    """Take readings, heads and pictures as a page in a browser does; prints how many came."""
    found = {"pictures": 0, "readings": 0, "bytes": 0}
    with connect(f"{url.replace('http', 'ws')}ws", compression=None) as socket:
        cameras = [one["id"] for one in json.loads(socket.recv())["cameras"]]
        watched = {name: {"image": True, "points": True} for name in cameras}
        socket.send(json.dumps({"type": "watch", "cameras": watched}))
        for name in cameras:
            socket.send(json.dumps({"type": "next", "camera": name}))
        shown = dict.fromkeys(cameras, 0.0)
        with suppress(ConnectionClosed):
            for message in socket:
                found["bytes"] += len(message)
                if isinstance(message, str):
                    found["readings"] += json.loads(message)["type"] == "reading"
                    continue
                found["pictures"] += 1
                name = message[1 : 1 + message[0]].decode()
                # No more than 5 a second, as a browser on a slow machine.
                time.sleep(max(shown[name] + 0.2 - time.monotonic(), 0))
                shown[name] = time.monotonic()
                socket.send(json.dumps({"type": "next", "camera": name}))
    print(json.dumps(found))


@contextmanager
def looked_at(service: Service) -> Iterator[None]:
    """Serve the page, and have a program look at it."""
    server = PageServer(service, "127.0.0.1:0")
    server.start()
    command = [sys.executable, __file__, "--look", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as browser:
        try:
            yield
        finally:
            server.stop()
            print(f"the browser took {browser.communicate(timeout=30)[0].strip()}", file=sys.stderr)


def watch(
    counter: EdgeCounter, cameras: dict[str, LiveSource], seconds: float, *, page: bool
) -> float:
    """Return the ms of CPU time for each picture of the service."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = WatchConfig(
            cameras={name: section() for name in cameras},
            history=HistoryConfig(Path(folder) / "history.sqlite"),
        )
        metered = Metered(seconds)
        sinks = [
            metered,
            JsonLines(Path(folder) / "counts.jsonl", every=1),
            CsvTable(Path(folder) / "counts.csv", every=60),
        ]
        service = Service(config, counter=counter, sinks=sinks, sources=cameras)
        stack.enter_context(service)
        if page:
            stack.enter_context(looked_at(service))
        metered.done.wait(10 * seconds + 60)
        return metered.meter.ms


def profile(run: Callable[[], object]) -> None:
    """Print where the counting thread spends its time."""
    profiler = cProfile.Profile()
    inner = counting.Counting._run

    def profiled(self: counting.Counting) -> None:
        profiler.runcall(inner, self)

    counting.Counting._run = profiled  # type: ignore[method-assign]
    run()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="edgecount-s")
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--look", help=argparse.SUPPRESS)  # the browser's process
    options = parser.parse_args()
    if options.look:
        look(options.look)
        return
    width, height = map(int, options.size.split("x"))
    images = render((width, height), options.people)
    with EdgeCounter(options.model, threads=options.threads) as counter:

        def cameras() -> dict[str, LiveSource]:
            return sources(images, options.cameras, options.fps)

        if options.profile:
            profile(lambda: watch(counter, cameras(), options.seconds, page=False))
            return
        ways = {
            "counting alone": lambda: count_alone(counter, cameras(), options.seconds),
            "watched": lambda: watch(counter, cameras(), options.seconds, page=False),
            "looked at": lambda: watch(counter, cameras(), options.seconds, page=True),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                found[name].append(way())
    alone = min(found["counting alone"])
    print(
        f"| {options.cameras} x {options.size}, {options.people} people, {options.model} | "
        "ms of CPU a picture | more |\n|---|---|---|"
    )
    for name, times in found.items():
        print(f"| {name} | {min(times):.1f} | {min(times) / alone - 1:+.1%} |")


if __name__ == "__main__":
    main()
