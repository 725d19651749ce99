"""Time the counting of a clip and of a folder on the CPU, one by one and side by side.

The clip of benchmarks/video.py (H.264, 1080p) and a folder of JPEGs (rendered crowds, quality 90)
are counted in three ways by turns, in one process; times are medians, and the counts are compared:

- asked: a frame is decoded when it is asked for, then counted with all threads;
- ahead: a thread decodes the next frames while one is counted (`workers=1`);
- beside: several frames are counted at once (the default, or --workers).

With each goes the time of all cores together, of which engines that wait for their own threads
take more, and the memory that a process of its own took at most for the folder. With --waiting MS
the engine takes so long and no time of the CPU, as one on a chip of its own.

    python benchmarks/overlap.py [--rounds 5] [--model MODEL] [--backend auto] [--threads N]
                                 [--workers N] [--max-side N] [--size 1024x768] [--images 16]
                                 [--waiting MS]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from video import encode

from edgecount import EdgeCounter, FakeBackend, open_sources
from edgecount.models import DEFAULT_MODEL
from edgecount.scenes import render_scene

Call = Callable[[], list[float]]


class Waiting(FakeBackend):
    """An engine that waits."""

    lanes = 2

    def __init__(self, milliseconds: float) -> None:
        super().__init__([(100, 100)])
        self._seconds = milliseconds / 1000

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return one person, after a while."""
        time.sleep(self._seconds)
        return super().infer(inputs)


def main() -> None:
    """Time all ways, and print their ratios."""
    options = parse()
    with tempfile.TemporaryDirectory() as name:
        folder, clip = Path(name, "photos"), Path(name, "clip.mp4")
        folder.mkdir()
        write_photos(folder, options.images, options.size)
        encode(clip, options.codec)
        with open_counter(options, 1) as one, open_counter(options, options.workers) as several:
            print(f"{several.manifest.name} on {several.backend.name}")
            for what, path in (("clip", clip), ("folder", folder)):
                compare(what, ways(path, one, several), options.rounds)
        context = multiprocessing.get_context("spawn")
        for way, workers in (("ahead", 1), ("beside", options.workers)):
            with context.Pool(1) as pool:
                before, after = pool.apply(memory, (options, workers, folder))
            print(
                f"folder  {way:8} memory {before:5.0f} MB after one picture, {after:5.0f} at most"
            )


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, help="of the engine; all cores by default")
    parser.add_argument("--workers", type=int, help="frames at once; what suits by default")
    parser.add_argument("--max-side", type=int, default=1024, help="of the counted frames, px")
    parser.add_argument("--size", default="1024x768", help="of the photos, WIDTHxHEIGHT")
    parser.add_argument("--images", type=int, default=16, help="number of photos")
    parser.add_argument("--waiting", type=float, help="an engine that only waits, ms a frame")
    return parser.parse_args()


def write_photos(folder: Path, number: int, size: str) -> None:
    """Write JPEGs of crowds."""
    width, height = (int(side) for side in size.split("x"))
    for index in range(number):
        image = render_scene(40 + 15 * index, size=(width, height), seed=index).image
        path = str(folder / f"{index:03}.jpg")
        cv2.imwrite(path, image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def open_counter(options: argparse.Namespace, workers: int | None) -> EdgeCounter:
    """Open a counter of so many frames at once."""
    backend = options.backend if options.waiting is None else Waiting(options.waiting)
    return EdgeCounter(
        options.model,
        backend=backend,
        threads=options.threads,
        workers=workers,
        max_side=options.max_side,
    )


def ways(path: Path, one: EdgeCounter, several: EdgeCounter) -> dict[str, Call]:
    """Return the ways to count a path."""
    sources = open_sources(path)
    return {
        "asked": lambda: [
            result.count for s in sources for _, result in one.count_frames(s.frames())
        ],
        "ahead": lambda: [result.count for result in one.stream(path)],
        "beside": lambda: [result.count for result in several.stream(path)],
    }


def compare(what: str, calls: Mapping[str, Call], rounds: int) -> None:
    """Time calls by turns, and print milliseconds a frame."""
    counts = np.array([call() for call in calls.values()])
    print(f"{what:6}  counts differ by {np.ptp(counts, axis=0).max():.1e} people at most")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun, worked = time.perf_counter(), time.process_time()
            number = len(call())
            spent = time.perf_counter() - begun, time.process_time() - worked
            times[name].append((1000 * spent[0] / number, 1000 * spent[1] / number))
    first = statistics.median(taken for taken, _ in times["asked"])
    for name, spent in times.items():
        taken, worked = (statistics.median(column) for column in zip(*spent, strict=True))
        print(
            f"{what:6}  {name:8} {taken:7.1f} ms a frame, {first / taken:.2f} times the frames, "
            f"{worked:7.1f} ms of all cores"
        )


def memory(options: argparse.Namespace, workers: int | None, folder: Path) -> tuple[float, float]:
    """Return the process's megabytes after one picture, and the most while it counts a folder."""
    with open_counter(options, workers) as counter:
        counter.count(min(folder.iterdir()))
        before = peak()
        for _ in range(2):
            list(counter.stream(folder))
    return before, peak()


def peak() -> float:
    """Return the megabytes that this process has taken at most."""
    # Not of getrusage: a child begins there with what its parent took.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
