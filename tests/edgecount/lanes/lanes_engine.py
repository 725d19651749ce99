"""An engine that several frames are in at once, and what it is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgecount import EdgeCounter, FakeBackend, Frame
from edgecount.runtime.sources import Source

LANES = 3
AHEAD = LANES + 2  # frames of one call that are there at once


class Engine(FakeBackend):
    """An engine that sees as many people as a frame's pixels say, and notes who calls it.

    Attributes:
        before: called with that number while a frame is in the engine.
        most: most frames that were in it at once.
        threads: that called it.
        opened: numbers of lanes that were asked for.
    """

    def __init__(self, lanes: int = LANES) -> None:
        super().__init__(lambda tensor: [(8 * i, 8) for i in range(min(self._value(tensor), 7))])
        self.lanes = lanes
        self.before: Callable[[int], object] = lambda _value: None
        self.most = self._inside = 0
        self.threads: set[int] = set()
        self.opened: list[int] = []
        self._lock = threading.Lock()

    def infer(self, inputs: Any) -> Any:
        with self._lock:
            self.threads.add(threading.get_ident())
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            self.before(self._value(next(iter(inputs.values()))))
            return super().infer(inputs)
        finally:
            with self._lock:
                self._inside -= 1

    def for_lanes(self, number: int) -> Engine:
        self.opened.append(number)
        return self

    @staticmethod
    def _value(tensor: Any) -> int:
        return round(255 * float(tensor[0, 0, 0, 0]))


class Own(Source):
    """A source of a caller's own."""

    name, is_video, length, fps = "own", True, None, None

    def __init__(self, frames: Callable[[], Iterator[Frame]]) -> None:
        self._frames = frames

    def frames(self) -> Iterator[Frame]:
        return self._frames()


def picture(value: int) -> np.ndarray:
    return np.full((64, 64, 3), value, np.uint8)


def lanes() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "edgecount-lane"]


def pictures(number: int = 8) -> list[np.ndarray]:
    return [picture(value) for value in range(number)]


WAYS: dict[str, Callable[[EdgeCounter, Path], list[float]]] = {
    "count_batch": lambda counter, _: [one.count for one in counter.count_batch(pictures())],
    "count_batch of paths": lambda counter, folder: [
        one.count for one in counter.count_batch(sorted(folder.iterdir()))
    ],
    "count_each": lambda counter, folder: [
        one.result().count for one in counter.count_each(sorted(folder.iterdir()))
    ],
    "stream": lambda counter, folder: [one.count for one in counter.stream(folder)],
    "stream_many": lambda counter, folder: [
        one.count for one in counter.stream_many(sorted(folder.iterdir()))
    ],
}
