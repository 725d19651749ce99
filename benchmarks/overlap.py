"""Time the counting of a clip with and without decoding ahead of the engine, on the CPU.

The clip of benchmarks/video.py (H.264, 1080p) is counted by `EdgeCounter.stream`, whose thread
decodes the next frames while one is counted, and by `count_frames` on the bare frames, which are
decoded when they are asked for. The two go by turns; the ratio is of medians. With --waiting MS
the engine takes so long and no time of the CPU, as one on a chip of its own.

    python benchmarks/overlap.py [--rounds 5] [--model MODEL] [--threads N] [--max-side N]
                                 [--waiting MS]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from video import encode

from edgecount import EdgeCounter, FakeBackend, open_sources
from edgecount.models import DEFAULT_MODEL


class Waiting(FakeBackend):
    """An engine that waits."""

    def __init__(self, milliseconds: float) -> None:
        super().__init__([(100, 100)])
        self._seconds = milliseconds / 1000

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return one person, after a while."""
        time.sleep(self._seconds)
        return super().infer(inputs)


def main() -> None:
    """Time both, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", type=int, help="of the engine; all cores by default")
    parser.add_argument("--max-side", type=int, default=640, help="of the counted frames, px")
    parser.add_argument("--waiting", type=float, help="an engine that only waits, ms a frame")
    options = parser.parse_args()
    backend = "auto" if options.waiting is None else Waiting(options.waiting)
    counter = EdgeCounter(
        options.model, backend=backend, threads=options.threads, max_side=options.max_side
    )
    with tempfile.TemporaryDirectory() as folder, counter:
        path = Path(folder) / "clip.mp4"
        encode(path, options.codec)
        (source,) = open_sources(path)
        ahead = lambda: [one.count for one in counter.stream(path)]  # noqa: E731
        asked = lambda: [one.count for _, one in counter.count_frames(source.frames())]  # noqa: E731
        if ahead() != asked():
            raise SystemExit("the counts differ")
        times: dict[Callable[[], list[float]], list[float]] = {asked: [], ahead: []}
        for _ in range(options.rounds):
            for call, taken in times.items():
                begun = time.perf_counter()
                number = len(call())
                taken.append((time.perf_counter() - begun) / number)
        before, after = (statistics.median(taken) for taken in times.values())
        decoding = _decoding(source)
    print(f"decoding alone      {1000 * decoding:7.1f} ms a frame")
    print(f"decoded when asked  {1000 * before:7.1f} ms a frame")
    print(f"decoded ahead       {1000 * after:7.1f} ms a frame, {after / before:.2f} of it")


def _decoding(source) -> float:
    begun = time.perf_counter()
    number = sum(1 for _ in source.frames())
    return (time.perf_counter() - begun) / number


if __name__ == "__main__":
    main()
