"""Wall-clock time of the steps of one frame."""

from __future__ import annotations

import time
from typing import Literal

from edgecount.result import Timings


class Clock:
    """A stopwatch that sums up the milliseconds of each step."""

    def __init__(self) -> None:
        self.timings = Timings(preprocess=0.0, infer=0.0, postprocess=0.0)
        self._last = time.perf_counter()

    def lap(self, step: Literal["preprocess", "infer", "postprocess"]) -> None:
        """Add the time since the last lap to a step."""
        now = time.perf_counter()
        self.timings[step] += 1000 * (now - self._last)
        self._last = now
