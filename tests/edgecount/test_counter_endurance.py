"""EdgeCounter from several threads, and over many frames."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend

GATE = {"gate": [(0, 0), (100, 0), (100, 100), (0, 100)]}


def test_threads_get_the_results_of_one(
    tiny_model: Path, squares: Callable[..., NDArray[np.uint8]]
) -> None:
    """Frames of several sizes at once, so that a buffer shared by mistake would show."""
    rng = np.random.default_rng(5)
    frames = [
        squares(8 * int(w), 8 * int(h), *(8 * rng.integers(0, (w, h), (6, 2))))
        for w, h in rng.integers(8, 60, (24, 2))
    ]
    with EdgeCounter(tiny_model, regions=GATE) as counter:
        alone = [counter.count(frame).to_dict(points=True) for frame in frames]
        with ThreadPoolExecutor(4) as pool:
            together = [result.to_dict(points=True) for result in pool.map(counter.count, frames)]
    for one, other in zip(alone, together, strict=True):
        del one["timings_ms"], other["timings_ms"]
        assert one == other


def resident_kilobytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_memory_does_not_grow(make_model: Callable[..., Path]) -> None:
    counter = EdgeCounter(make_model(), backend=FakeBackend([(20, 20), (90, 60)]), regions=GATE)
    sizes = [(120, 160), (200, 100), (64, 320)]
    frames = [np.zeros((*size, 3), np.uint8) for size in sizes]
    for index in range(30):
        counter.count(frames[index % 3])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0], resident_kilobytes()
    for index in range(300):
        counter.count(frames[index % 3])
    # CPython 3.11 keeps up to 2,000 freed tuples of twenty items for nothing, until this.
    gc.collect()
    after = tracemalloc.get_traced_memory()[0], resident_kilobytes()
    tracemalloc.stop()
    assert after[0] - before[0] < 20_000
    assert after[1] - before[1] < 4_000


def test_memory_of_the_engine_does_not_grow_with_the_number_of_sizes(tiny_model: Path) -> None:
    counter = EdgeCounter(tiny_model, threads=1)
    rng = np.random.default_rng(1)

    def run(times: int) -> None:
        for width, height in rng.integers(1, 400, (times, 2)):
            counter.count(np.zeros((height, width, 3), np.uint8))

    counter.count(np.zeros((400, 400, 3), np.uint8))
    run(50)
    before = resident_kilobytes()
    run(150)
    assert resident_kilobytes() - before < 4_000
