"""Measure what analytics cost beside the engine, by turns in one run.

    python benchmarks/overhead.py [--model edgecount-s] [--people 40] [--frames 60]

Frames of a rendered clip of 640 x 480 pixels at ten a second are counted, and after each one go
through four regions, two lines, smoothing, an alarm, the check of the picture, and occupancy with
its watch over the camera's motion. Milliseconds of processor time a frame, and their ratio to the
engine's: both have the same machine in the same moments.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from edgecount import CountResult, EdgeCounter, Region
from edgecount.analytics import (
    Alarm,
    AlarmRule,
    Line,
    LineCounter,
    Occupancy,
    PictureCheck,
    Smoother,
)
from edgecount.scenes import render_clip

Part = Callable[[float, CountResult, np.ndarray], object]

SIZE = (640, 480)
FPS = 10
RENDERED = 20  # frames, shown to and fro, so that nothing jumps
REGIONS = [
    Region(f"quarter {x} {y}", np.add(corners, (x / 2, y / 2)), fractions=True)
    for corners in [[(0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)]]
    for x in (0, 1)
    for y in (0, 1)
]
LINES = [
    Line("across", (0.5, 0), (0.5, 1), fractions=True),
    Line("along", (0, 0.6), (1, 0.6), fractions=True),
]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="edgecount-s")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    clip = [
        scene.image
        for scene in render_clip(options.people, frames=RENDERED, fps=FPS, size=SIZE, seed=1)
    ]
    clip += clip[-2:0:-1]
    with EdgeCounter(options.model, threads=options.threads) as counter:
        parts = analytics(counter)
        spent = np.zeros((options.frames, 1 + len(parts)))
        for step in range(options.frames):
            image = clip[step % len(clip)]
            began = time.process_time()
            result = counter.count(image)
            spent[step, 0] = time.process_time() - began
            for place, part in enumerate(parts.values(), 1):
                began = time.process_time()
                part(step / FPS, result, image)
                spent[step, place] = time.process_time() - began
    # The first frames find caches cold. Sums, because some parts work on every fourth frame.
    mean = spent[5:].mean(0) * 1000
    print(f"{'engine':10s} {mean[0]:7.1f} ms a frame")
    for name, milliseconds in zip(parts, mean[1:], strict=True):
        print(f"{name:10s} {milliseconds:7.2f} ms  {milliseconds / mean[0]:6.1%}")
    print(f"{'all':10s} {mean[1:].sum():7.2f} ms  {mean[1:].sum() / mean[0]:6.1%}")


def analytics(
    counter: EdgeCounter,
) -> dict[str, Callable[[float, CountResult, np.ndarray], object]]:
    """Return what is done with each result."""
    occupancy = Occupancy(REGIONS, manifest=counter.manifest)
    lines = LineCounter(LINES, manifest=counter.manifest)
    smoothers = [Smoother() for _ in range(1 + len(REGIONS))]
    alarm, check = Alarm(AlarmRule(above=50, below=40)), PictureCheck()

    def smooth(time: float, result: CountResult, _: np.ndarray) -> None:
        for smoother in smoothers:
            alarm.update(time, smoother.update(time, result.count, result.interval).count)

    return {
        "occupancy": occupancy.update,
        "lines": lines.update,
        "smoothing": smooth,
        "picture": lambda time, _, image: check.update(time, image),
    }


if __name__ == "__main__":
    main()
