"""Clips that do what a test tells them, in place of cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgecount.runtime.sources.live import LiveOptions, LiveSource

QUICK: dict[str, Any] = {
    "open_timeout": 0.4,
    "first_timeout": 0.4,
    "stall_timeout": 0.4,
    "backoff": (0.01, 0.02),
}
PATIENCE = 30.0  # s, on a machine that does much else


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class FakeClip:
    """A clip that gives pictures at times, and then does what it is told.

    ``then`` is called after the last picture; what it raises is raised.
    """

    def __init__(
        self,
        number: int = 3,
        *,
        interval: float = 0.0,
        size: tuple[int, int] = (8, 6),
        then: Callable[[], None] = lambda: None,
        on_close: Callable[[], None] = lambda: None,
        clock: Callable[[int], float | None] | None = None,
        **attributes: Any,
    ) -> None:
        self.given = 0
        self.closed = 0
        self._number, self._interval, self._size = number, interval, size
        self._then, self._on_close = then, on_close
        self._clock = clock or (lambda index: index * interval)
        self.__dict__.update(attributes)

    def pictures(self) -> Iterator[tuple[Any, int, float | None]]:
        begin = time.monotonic()
        width, height = self._size
        for index in range(self._number):
            time.sleep(max(0.0, begin + index * self._interval - time.monotonic()))
            yield np.zeros((height, width, 3), np.uint8), index, self._clock(index)
            self.given += 1
        self._then()

    def fault(self) -> str:
        return ""

    def close(self) -> None:
        self.closed += 1
        self._on_close()


class Hang:
    """Something that hangs until it is let go."""

    def __init__(self) -> None:
        self._gate = threading.Event()
        self.waiting = 0

    def __call__(self) -> None:
        self.waiting += 1
        assert self._gate.wait(PATIENCE)

    def let_go(self) -> None:
        self._gate.set()


def camera(*steps: Any, **options: Any) -> LiveSource:
    """Return a source that opens the steps one after the other, and the last one again and again.

    A step is a clip, a function that makes one, or an error to be raised.
    """
    left = list(steps)

    def open_clip() -> Any:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, BaseException):
            raise step
        return step() if callable(step) else step

    return LiveSource("rtsp://host/a", LiveOptions(**(QUICK | options)), open_clip=open_clip)
