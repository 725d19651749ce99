"""Cameras that show what a test asks of them, and a watch for what outlives one."""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from edgecount import SourceError
from edgecount.runtime.sources.live import LiveOptions, LiveSource


class Studio:
    """A live source whose pictures, failures and absences are those that a test asks for.

    Attributes:
        source: the source.
        away: whether it cannot be opened.
        opened: how often it was opened; closed: how often it was closed.
        shown: pictures that were given; handed: those that have arrived.
    """

    def __init__(self, name: str, options: LiveOptions, size: tuple[int, int]) -> None:
        self.source = LiveSource(f"rtsp://{name}", options, name=name, open_clip=self._open)
        self.away = False
        self.size = size
        self.opened = self.closed = self.shown = self.handed = 0
        self._pictures: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def show(self, pictures: int = 1) -> None:
        """Give pictures."""
        self.shown += pictures
        for _ in range(pictures):
            self._pictures.put(True)

    def all_arrived(self) -> bool:
        """Return whether the pictures have arrived; in place of the one before, if it waits."""
        return self.handed == self.shown

    def drop(self) -> None:
        """Break off."""
        self._pictures.put(False)

    def _open(self) -> StudioClip:
        if self.away:
            raise SourceError(f"{self.source.name} is away")
        self.opened += 1
        return StudioClip(self)


class StudioClip:
    given = 0

    def __init__(self, studio: Studio) -> None:
        self._studio, self._closed = studio, False

    def pictures(self) -> Iterator[tuple[Any, int, float]]:
        while not self._closed:
            try:
                shown = self._studio._pictures.get(timeout=0.02)
            except queue.Empty:
                continue
            if not shown:
                return
            self.given += 1
            width, height = self._studio.size
            yield np.zeros((height, width, 3), np.uint8), self.given, self.given / 10
            self._studio.handed += 1

    def fault(self) -> str:
        return ""

    def stop(self) -> None:
        self._closed = True

    def close(self) -> None:
        self._closed = True
        self._studio.closed += 1


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def own_threads() -> list[str]:
    """Return the names of edgecount's threads."""
    return [one.name for one in threading.enumerate() if one.name.startswith("edgecount")]


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., None]:
    """`wait_for`, as a fixture because conftest cannot be imported."""
    return wait_for


@pytest.fixture
def studio() -> Callable[..., Studio]:
    """Make cameras; keywords as of `LiveOptions`."""

    def make(name: str = "camera", size: tuple[int, int] = (64, 64), **options: Any) -> Studio:
        return Studio(name, LiveOptions(**({"backoff": (0.02, 0.05)} | options)), size)

    return make


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Assert that edgecount's threads have ended when the test has; older ones may end, too."""
    before = Counter(own_threads())
    yield
    gc.collect()
    wait_for(lambda: not (Counter(own_threads()) - before))
