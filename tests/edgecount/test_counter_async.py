"""EdgeCounter under asyncio: pace, cancellation, errors, loops in several threads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecount import EdgeCounter, FakeBackend, Frame, Source
from edgecount.errors import BackendError, ConfigError, InputError, SourceError

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

Studios = Callable[..., Any]


class Numbered(Source):
    """Frames without end, or up to a number, which are noted when they are made."""

    name = "numbered"
    is_video = True
    length = fps = None

    def __init__(self, most: int = 1_000_000, error: Exception | None = None) -> None:
        self.most, self.error = most, error
        self.made = 0
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        try:
            for index in range(self.most):
                self.made += 1
                yield Frame(np.zeros((64, 64, 3), np.uint8), self.name, index, index / 10)
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()


@pytest.fixture
def counter(tiny_model: Path) -> EdgeCounter:
    return EdgeCounter(tiny_model, backend=FakeBackend([(8, 8)]))


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; what blocks the loop for long is an error."""
    return asyncio.run(asyncio.wait_for(main, 60))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


def test_frames_are_counted_side_by_side(counter: EdgeCounter, tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), image)

    async def main() -> None:
        results = await asyncio.gather(*(counter.count_async(one) for one in [image, path] * 4))
        assert [result.count for result in results] == [1] * 8
        with pytest.raises(InputError, match="got float64"):
            await counter.count_async(np.zeros((4, 4, 3)))

    run(main())


def test_a_slow_consumer_gets_no_backlog(counter: EdgeCounter) -> None:
    source = Numbered()

    async def main() -> None:
        async with contextlib.aclosing(counter.stream_async(source)) as results:
            async for result in results:
                await asyncio.sleep(0.01)
                assert counter.backend.calls == result.frame + 1  # type: ignore[attr-defined]
                assert source.made <= result.frame + 4  # one counted, two read ahead, one made
                if result.frame == 10:
                    break
        assert source.closed.is_set()

    run(main())


def test_it_ends_with_the_source(counter: EdgeCounter) -> None:
    async def main() -> None:
        assert [one.frame async for one in counter.stream_async(Numbered(5))] == [0, 1, 2, 3, 4]
        many = counter.stream_many_async([Numbered(2), Numbered(1)])
        assert [one.frame async for one in many] == [0, 0, 1]
        results = counter.stream_async(Numbered(1))
        await results.__anext__()
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await results.__anext__()
        await counter.stream_async("never asked for").aclose()

    run(main())


def test_errors_come_through(counter: EdgeCounter, tmp_path: Path) -> None:
    async def main() -> None:
        results = counter.stream_async(Numbered(2, SourceError("cut off")))
        assert [(await results.__anext__()).frame for _ in range(2)] == [0, 1]
        with pytest.raises(SourceError, match="cut off"):
            await results.__anext__()
        with pytest.raises(SourceError, match="holds nothing to count"):
            await counter.stream_async(tmp_path).__anext__()
        with pytest.raises(ConfigError, match="expected a list of sources"):
            counter.stream_many_async("clip.mp4")

    run(main())


def test_errors_of_one_source_are_told_by_the_loop(counter: EdgeCounter) -> None:
    told: list[tuple[str, bool]] = []

    def note(error: SourceError) -> None:
        told.append((str(error), asyncio.get_running_loop() is not None))

    def refuse(error: SourceError) -> None:
        raise ValueError("no more")

    async def main() -> None:
        sources = [Numbered(1, SourceError("cut off")), Numbered(3)]
        many = counter.stream_many_async(sources, on_error=note)
        assert [one.frame async for one in many] == [0, 0, 1, 2]
        assert told == [("cut off", True)]
        sources = [Numbered(1, SourceError("cut off")), Numbered()]
        many = counter.stream_many_async(sources, on_error=refuse)
        with pytest.raises(ValueError, match="no more"):
            [one async for one in many]
        assert all(source.closed.is_set() for source in sources)

    run(main())


@pytest.mark.parametrize("where", ["refine", "engine"])
def test_a_stop_iteration_does_not_hang_the_one_who_awaits(tiny_model: Path, where: str) -> None:
    class Exhausted(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            return next(iter(())) if where == "refine" else result

    def people(_: Any) -> list[tuple[int, int]]:
        return next(iter(())) if where == "engine" else []

    async def main() -> None:
        with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
            await counter.count_async(np.zeros((64, 64, 3), np.uint8))
        assert isinstance(caught.value.__cause__, StopIteration)
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await counter.stream_async(Numbered(2)).__anext__()

    counter = Exhausted(tiny_model, backend=FakeBackend(people))
    run(main())


def test_a_stop_iteration_of_on_error_ends_the_stream(counter: EdgeCounter) -> None:
    def stop(_: SourceError) -> None:
        raise StopIteration

    async def main() -> None:
        sources = [Numbered(1, SourceError("cut off")), Numbered()]
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            [one async for one in counter.stream_many_async(sources, on_error=stop)]

    run(main())


@pytest.mark.parametrize("several", [False, True])
def test_cancelling_closes_a_camera_that_is_waited_for(
    counter: EdgeCounter, studio: Studios, *, several: bool
) -> None:
    camera = studio()

    def results() -> AsyncIterator[Any]:
        if several:
            return counter.stream_many_async([camera.source])
        return counter.stream_async(camera.source)

    async def consume() -> None:
        async for one in results():
            found.append(one)  # noqa: PERF401

    async def main() -> None:
        task = asyncio.create_task(consume())
        camera.show()
        await until(lambda: found)
        await asyncio.sleep(0.05)  # it waits for the next picture, which does not come
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: camera.closed == 1)

    found: list[Any] = []
    run(main())


def test_cancelling_between_two_results_stops_the_source(counter: EdgeCounter) -> None:
    source = Numbered()

    async def consume() -> None:
        async with contextlib.aclosing(counter.stream_async(source)) as results:
            async for _ in results:
                got.set()
                await asyncio.sleep(1000)

    async def main() -> None:
        task = asyncio.create_task(consume())
        await got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed.is_set()

    got = asyncio.Event()
    run(main())


def test_the_loop_goes_on_while_the_engine_works(tiny_model: Path) -> None:
    go = threading.Event()

    class Stuck(FakeBackend):
        def infer(self, inputs: Any) -> Any:
            assert go.wait(30)
            return super().infer(inputs)

    async def main() -> None:
        task = asyncio.create_task(counter.stream_async(Numbered(1)).__anext__())
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()  # the thread is in the engine: the end waits, the loop does not
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    counter = EdgeCounter(tiny_model, backend=Stuck())
    run(main())


def test_a_stream_that_is_left_and_forgotten_ends(counter: EdgeCounter) -> None:
    source = Numbered()

    async def main() -> None:
        async for _ in counter.stream_async(source):
            break

    run(main())
    assert source.closed.wait(20)
    # A loop that is gone before the stream: nobody can await its end any more.
    source = Numbered()
    loop = asyncio.new_event_loop()
    results = counter.stream_async(source)
    loop.run_until_complete(results.__anext__())
    loop.close()
    del results
    gc.collect()
    assert source.closed.wait(20)


@pytest.mark.parametrize("several", [False, True])
def test_a_loop_that_is_closed_with_a_step_in_hand_leaves_nothing(
    counter: EdgeCounter, studio: Studios, *, several: bool
) -> None:
    def results() -> AsyncIterator[Any]:
        if several:
            return counter.stream_many_async([camera.source], on_error=lambda _: None)
        return counter.stream_async(camera.source)

    async def consume() -> None:
        async for one in results():
            found.append(one)  # noqa: PERF401

    async def until_it_waits() -> None:
        await until(lambda: found)
        await asyncio.sleep(0.05)

    camera = studio()
    found: list[Any] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # which would tell of the task
    task = weakref.ref(loop.create_task(consume()))
    camera.show()
    loop.run_until_complete(until_it_waits())
    loop.close()
    camera.show()  # what is in hand ends, and nobody is there to ask for more
    deadline = time.monotonic() + 20
    while task() is not None or not camera.closed:
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


def test_loops_of_several_threads(counter: EdgeCounter) -> None:
    async def main() -> list[int]:
        return [one.frame async for one in counter.stream_async(Numbered(20))]

    def in_thread() -> None:
        found.append(run(main()))

    found: list[list[int]] = []
    threads = [threading.Thread(target=in_thread) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [list(range(20))] * 4


def test_closing_the_counter_ends_a_stream_that_waits(
    counter: EdgeCounter, studio: Studios
) -> None:
    camera = studio()

    async def main() -> None:
        results = counter.stream_async(camera.source)
        task = asyncio.create_task(results.__anext__())
        await until(lambda: camera.opened)
        await asyncio.to_thread(counter.close)
        with pytest.raises(BackendError, match="closed"):
            await task

    run(main())
