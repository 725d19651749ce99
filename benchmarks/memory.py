"""Measure the memory of a program that counts on a CPU, by engine and size of the picture.

    python benchmarks/memory.py [--model edgecount-s ...] [--backend onnxruntime openvino]
        [--size 640x480 1024x768] [--threads 1]

Each row is a process of its own that counts some noise. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgecount import EdgeCounter

_PICTURES = 4


def count(model: str, backend: str, size: str, threads: int) -> None:
    """Count, and print the memory before the engine, after counting, and at most, in MB."""
    width, height = map(int, size.split("x"))
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    before = resident()
    options = {"backend": backend, "threads": threads, "precision": "float32", "max_side": None}
    with EdgeCounter(model, **options) as counter:
        for _ in range(_PICTURES):
            counter.count(picture)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{before:.0f} {resident():.0f} {most:.0f}")


def resident() -> float:
    """Return this process's memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    """Measure each engine with each model and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["edgecount-s"])
    parser.add_argument("--backend", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--size", nargs="+", default=["640x480", "1024x768"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        count(options.model[0], options.backend[0], options.size[0], options.threads)
        return
    print("| model | engine | size | before the engine, MB | while counting, MB | at most, MB |")
    print("|---|---|---|---|---|---|")
    for model in options.model:
        for backend in options.backend:
            for size in options.size:
                command = [sys.executable, __file__, "--one", "--threads", str(options.threads)]
                command += ["--model", model, "--backend", backend, "--size", size]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                cells = [Path(model).name, backend, size, *done.stdout.split()]
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
