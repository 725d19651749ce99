"""Measure OpenVINO on frames of many sizes: forms for any size and for one, compiling, memory.

Times of frames are CPU time of one thread, minima by turns in one process, which other work on the
machine changes little. The memory is that of a process of its own that counts frames of one random
size after the other.

    python benchmarks/sizes.py MODEL [MODEL ...] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount._memory import resident_bytes
from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.backend import OpenVinoBackend
from edgecount.runtime.models.machine import this_cpu
from edgecount.runtime.models.onnx_facts import stored_precision
from edgecount.runtime.models.open import open_model

SIZES = ((256, 320), (480, 640), (768, 1024))
ROUNDS = 12
PHOTOS = 100
MIB = 2**20


def frame(height: int, width: int) -> NDArray[np.float32]:
    """Return noise as a model's input."""
    shape = (1, 3, height, width)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def opened(model: str, patience: float) -> OpenVinoBackend:
    """Open a model that compiles for a size after so many times what compiling takes."""
    found = open_model(model)
    assert found.path is not None
    kind = "int8" if stored_precision(found.path) == "int8" else "float32"
    backend = OpenVinoBackend(found, threads=1, precision=kind)
    backend._forms._patience = patience
    return backend


def seconds(call: Any) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def speed(model: str) -> Iterator[str]:
    """Yield a row for each size: CPU time of a frame in both kinds of forms."""
    with opened(model, 1e9) as any_size, opened(model, 0.0) as own:
        for size in SIZES:
            feed = {"image": frame(*size)}
            for _ in range(2):  # the second compiles
                any_size.infer(feed)
                own.infer(feed)
            assert not any_size.shapes()
            assert own.shapes()
            times: dict[OpenVinoBackend, list[float]] = {any_size: [], own: []}
            for _ in range(ROUNDS):
                for backend, taken in times.items():
                    start = time.process_time()
                    backend.infer(feed)
                    taken.append(1000 * (time.process_time() - start))
            slow, fast = (min(taken) for taken in times.values())
            height, width = size
            yield f"| {model} | {width}x{height} | {slow:.1f} | {fast:.1f} | {slow / fast:.3f} |"


def start(model: str) -> str:
    """Return a row: seconds until a model is there, compiled and loaded from the disk."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        compiled, loaded = (seconds(lambda: opened(model, 1e9).close()) for _ in range(2))
    return f"| {model} | {compiled:.2f} | {loaded:.2f} |"


def memory(model: str, number: int) -> int:
    """Return the MiB of a process that has counted frames of so many random sizes."""
    code = f"import sizes; print(sizes.resident_after({model!r}, {number}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    return int(done.stdout)


def resident_after(model: str, number: int) -> int:
    """Return the MiB of this process once it has counted frames of so many random sizes."""
    random = np.random.default_rng(0)
    with opened(model, 1e9) as backend:
        backend.infer({"image": frame(640, 640)})
        for _ in range(number):
            height, width = 32 * random.integers(2, 21, 2)
            backend.infer({"image": frame(int(height), int(width))})
        return (resident_bytes() or 0) // MIB


def report(models: list[str]) -> str:
    """Measure all, and return a page of it."""
    cpu = this_cpu()
    today = datetime.now(timezone.utc).date()
    about = (
        f"OpenVINO {library.version()} on {cpu.name} ({cpu.machine}, instructions for INT8: "
        f"{cpu.int8}; {', '.join(sorted(library.capabilities('CPU')))}), one thread. By "
        f"`python benchmarks/sizes.py {' '.join(models)}` on a machine with other work."
    )
    lines = [
        f"# Sizes with OpenVINO, {today.isoformat()}",
        "",
        about,
        "",
        f"CPU time of a frame in ms, least of {ROUNDS}, in the form for any size and in its own:",
        "",
        "| model | size | any size | its own | ratio |",
        "|---|---|---|---|---|",
        *(row for model in models for row in speed(model)),
        "",
        "Seconds until a model is there:",
        "",
        "| model | compiled | loaded from the disk |",
        "|---|---|---|",
        *map(start, models),
        "",
        f"MiB of the process after one size, and after {PHOTOS} random ones up to 640x640:",
        "",
        "| model | 1 | many |",
        "|---|---|---|",
        *(f"| {model} | {memory(model, 0)} | {memory(model, PHOTOS)} |" for model in models),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        text = report(arguments.models)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
