"""Another checkout of edgecount, run by its own Python in a process that takes orders."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Runs there, with what every release has. An order is a line of three numbers: height and width of
# a frame whose bytes follow (0 0: the last one again), and how often to count it. The answer is a
# line, too: the seconds and the count.
_SERVER = """
import sys, time
import numpy as np
from edgecount import EdgeCounter

counter = EdgeCounter(sys.argv[1], backend="onnxruntime", threads=int(sys.argv[2]))
for line in sys.stdin.buffer:
    height, width, number = map(int, line.split())
    if height:
        data = sys.stdin.buffer.read(height * width * 3)
        frame = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    start = time.perf_counter()
    results = counter.count_batch([frame] * number)
    print(time.perf_counter() - start, results[0].count, flush=True)
"""


class Counted(NamedTuple):
    """A result of the other checkout."""

    count: float


class Baseline:
    """A counter of another checkout, with ONNX Runtime; a context manager.

    Args:
        root: the checkout, whose `edgecount` can be imported there.
        python: its Python.
        model: the model's file.
        threads: threads of the engine.
    """

    def __init__(self, root: Path, python: Path, model: Path, threads: int) -> None:
        words = (str(python.absolute()), "-c", _SERVER, str(model.resolve()), str(threads))
        self._process = subprocess.Popen(
            words, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._frame: NDArray[np.uint8] | None = None

    def count(self, frame: NDArray[np.uint8]) -> Counted:
        """Count a frame."""
        return Counted(self._run(frame, 1)[1])

    def milliseconds(self, frame: NDArray[np.uint8]) -> float:
        """Return what counting in a frame took there."""
        return 1000 * self._run(frame, 1)[0]

    def per_second(self, frame: NDArray[np.uint8], number: int) -> float:
        """Return how many frames a second are counted there in one call of `count_batch`."""
        return number / self._run(frame, number)[0]

    def _run(self, frame: NDArray[np.uint8], number: int) -> tuple[float, float]:
        """Return the seconds that counting a frame so many times took, and the count."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the other checkout runs without its pipes")
        is_new = self._frame is not frame
        height, width = frame.shape[:2] if is_new else (0, 0)
        data = frame.tobytes() if is_new else b""
        self._process.stdin.write(f"{height} {width} {number}\n".encode() + data)
        self._process.stdin.flush()
        self._frame = frame
        answer = self._process.stdout.readline().split()
        if len(answer) != 2:
            raise SystemExit("the other checkout failed: its error stands above")
        return float(answer[0]), float(answer[1])

    def __enter__(self) -> Baseline:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)  # an end of its input ends it
