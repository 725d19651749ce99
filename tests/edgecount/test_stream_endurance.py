"""Streams of many frames: memory, threads and descriptors do not grow."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount import EdgeCounter, FakeBackend, Frame, LiveOptions, LiveSource, Source

SIZES = [(64, 64), (96, 64), (64, 48)]
IMAGES = [np.zeros((height, width, 3), np.uint8) for width, height in SIZES]


class Endless(Source):
    """Frames of three sizes in turn."""

    name = "endless"
    is_video = True
    length = fps = None

    def frames(self) -> Iterator[Frame]:
        index = 0
        while True:
            yield Frame(IMAGES[index % 3], self.name, index, index / 30)
            index += 1


class Flickering:
    """A camera's clip that breaks off after some pictures."""

    given = 0

    def pictures(self) -> Iterator[tuple[NDArray[np.uint8], int, float]]:
        for index in range(50):
            yield IMAGES[index % 3], index, index / 30

    def fault(self) -> str:
        return ""

    def close(self) -> None:
        """Have nothing to close."""


def camera(name: str) -> LiveSource:
    options = LiveOptions(newest=False, backoff=(0.001, 0.001))
    return LiveSource(f"rtsp://{name}", options, name=name, open_clip=Flickering)


def stream(counter: EdgeCounter, frames: int) -> None:
    results = counter.stream(Endless())
    for _ in range(frames):
        next(results)
    results.close()  # type: ignore[attr-defined]


def cameras(counter: EdgeCounter, frames: int) -> None:
    results = counter.stream_many([camera("a"), camera("b"), Endless()])
    for _ in range(frames):
        next(results)
    results.close()  # type: ignore[attr-defined]


def in_a_loop(counter: EdgeCounter, frames: int) -> None:
    async def main() -> None:
        left = frames
        async with aclosing(counter.stream_async(Endless())) as results:
            async for _ in results:
                left -= 1
                if not left:
                    break

    asyncio.run(main())


def called_back(counter: EdgeCounter, frames: int) -> None:
    enough = threading.Semaphore(0)
    with counter.watch(Endless(), lambda _: enough.release()):
        for _ in range(frames):
            assert enough.acquire(timeout=60)


def threads_and_descriptors() -> tuple[int, int]:
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def memory() -> int:
    """Return the bytes that Python holds."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def check(
    make_model: Callable[..., Path],
    wait_for: Callable[..., None],
    way: Callable[[EdgeCounter, int], None],
    frames: int,
) -> None:
    counter = EdgeCounter(make_model(), backend=FakeBackend([(20, 20), (40, 40)]))
    way(counter, 30)
    threads, descriptors = threads_and_descriptors()
    tracemalloc.start()
    try:
        way(counter, 30)
        before = memory()
        for _ in range(3):
            way(counter, frames // 3)
        after = memory()
    finally:
        tracemalloc.stop()
    assert after - before < 60_000

    def nothing_is_left() -> bool:
        now = threads_and_descriptors()
        return now[0] <= threads and now[1] <= descriptors

    wait_for(nothing_is_left)


WAYS: list[Any] = [stream, cameras, in_a_loop, called_back]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_grows(make_model: Callable[..., Path], wait_for: Any, way: Any) -> None:
    check(make_model, wait_for, way, 150)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_nothing_grows_in_ten_thousand_frames(
    make_model: Callable[..., Path], wait_for: Any, way: Any
) -> None:
    check(make_model, wait_for, way, 10_000)
