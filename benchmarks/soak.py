"""Check that memory does not grow over many frames.

    python benchmarks/soak.py [--frames 10000] [--size 320x240] [--model MODEL] [--backend fake]

Counts random frames of a few sizes in turn, with two regions, and prints the resident memory as it
goes. Exits with 1 if the second half of the run added more than --limit MiB.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from edgecount import EdgeCounter
from edgecount._memory import resident_bytes
from edgecount.models import DEFAULT_MODEL


def main() -> int:
    """Count frames, print the memory, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", default="320x240", help="of the frames, WIDTHxHEIGHT")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--limit", type=float, default=4.0, help="MiB")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    rng = np.random.default_rng(0)
    sizes = [(height, width), (height // 2, width), (width, height)]
    frames = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    third = width / 3
    regions = {
        "left": [(0, 0), (third, 0), (third, height), (0, height)],
        "right": [(third, 0), (width, 0), (width, height), (third, height)],
    }
    halfway = 0.0
    with EdgeCounter(options.model, backend=options.backend, regions=regions) as counter:
        for index in range(options.frames):
            counter.count(frames[index % len(frames)])
            if index == options.frames // 2:
                halfway = resident_mebibytes()
            if index % max(1, options.frames // 10) == 0:
                print(f"{index:8d} frames  {resident_mebibytes():8.1f} MiB", flush=True)
    grown = resident_mebibytes() - halfway
    print(f"{options.frames:8d} frames  {resident_mebibytes():8.1f} MiB")
    print(f"second half: {grown:+.1f} MiB, limit {options.limit} MiB")
    return int(grown > options.limit)


def resident_mebibytes() -> float:
    """Return the memory of this process that is in RAM; 0 where the system does not say."""
    return (resident_bytes() or 0) / 2**20


if __name__ == "__main__":
    sys.exit(main())
