"""Batches, overlapped runners and rounds of several sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from edgecount.errors import BackendError, SourceError
from edgecount.runtime.frames.checked import NV12Frame, check_host_frame
from edgecount.runtime.pipeline.job import FrameJob
from edgecount.runtime.pipeline.runner import Pending, QueueingRunner, RunnerPool
from edgecount.runtime.pipeline.schedule import batches, in_order, overlap, rounds
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.prefetch import Ended, NotReady, ReadAhead


class Counting(QueueingRunner):
    """A runner that notes what it is asked to do; its jobs are numbers."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.closed = self.broken = False
        self.refused: Any = None

    def submit(self, jobs: Sequence[Any]) -> Pending:
        if jobs[0] == self.refused:
            raise SourceError("no frame")
        self.log.append(f"submit {jobs[0]}")

        def result() -> list[Any]:
            self.log.append(f"result {jobs[0]}")
            return [-job for job in jobs]

        return result

    def drain(self) -> None:
        self.log.append("drain")
        if self.broken:
            raise BackendError("the GPU is gone")

    def close(self) -> None:
        self.closed = True


def groups_of(numbers: Any) -> Any:
    left = ([number] for number in numbers)
    return lambda timeout: next(left)


def run(take: Any, pool: RunnerPool[Any]) -> Iterator[int]:
    """Yield the numbers that were counted."""
    for ((number, result),) in overlap(take, pool):
        assert result == -number
        yield number  # type: ignore[misc]


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def runners() -> list[Counting]:
    return []


@pytest.fixture
def pool(log: list[str], runners: list[Counting]) -> RunnerPool[Counting]:
    def make() -> Counting:
        runners.append(Counting(log))
        return runners[-1]

    return RunnerPool(make)


def test_the_next_item_starts_before_the_last_is_asked_for(pool, log, runners) -> None:
    assert list(run(groups_of(range(4)), pool)) == [0, 1, 2, 3]
    assert log == [
        "submit 0", "submit 1", "result 0", "submit 2", "result 1", "submit 3", "result 2",
        "result 3",
    ]  # fmt: skip
    assert len(runners) == 2
    assert list(run(groups_of([]), pool)) == []
    assert len(runners) == 2


def test_one_item_takes_one_runner(pool, runners) -> None:
    assert list(run(groups_of([7]), pool)) == [7]
    assert len(runners) == 1


def test_without_room_for_a_second_runner_items_go_one_by_one(log) -> None:
    made = []

    def make() -> Counting:
        if made:
            raise BackendError("no memory left")
        made.append(Counting(log))
        return made[0]

    assert list(run(groups_of(range(3)), RunnerPool(make))) == [0, 1, 2]
    assert log == ["submit 0", "result 0", "submit 1", "result 1", "submit 2", "result 2"]


def test_a_pool_that_is_closed_ends_what_runs_after_what_was_begun(pool, runners) -> None:
    freed = []
    results = run(groups_of(range(9)), pool)
    assert next(results) == 0
    pool.close(lambda: freed.append(all(runner.closed for runner in runners)))
    pool.close()
    assert not freed
    assert next(results) == 1
    with pytest.raises(BackendError, match="the counter is closed"):
        next(results)
    assert freed == [True]


def test_a_result_does_not_wait_for_a_slow_camera(pool) -> None:
    asked = []

    class Slow:
        def take(self, timeout: float | None = None) -> list[int]:
            asked.append(timeout)
            if timeout == 0:
                raise NotReady
            if len(asked) > 6:
                raise Ended
            return [len(asked)]

    assert list(run(Slow().take, pool)) == [1, 3, 5]
    assert asked == [None, 0, None, 0, None, 0, None]


def test_an_error_comes_after_the_results_before_it(pool, runners) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise SourceError("the clip is cut off")

    found: list[int] = []
    with pytest.raises(SourceError, match="cut off"):
        found.extend(run(groups_of(items()), pool))
    assert found == [1, 2]
    assert not any(runner.closed for runner in runners)


def test_a_failing_item_lets_the_ones_before_it_through(pool) -> None:
    with pool.acquire() as first, pool.acquire() as second:
        first.refused = second.refused = 2
    found: list[int] = []
    with pytest.raises(SourceError, match="no frame"):
        found.extend(run(groups_of([0, 1, 2, 3]), pool))
    assert found == [0, 1]


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def test_jobs_of_one_kind_go_together() -> None:
    nv12 = NV12Frame.from_buffer(np.zeros((48, 64), np.uint8))
    frames = [black(32, 64)] * 3 + [nv12] * 2 + [black(32, 64), black(64, 32), black(64, 32)]
    groups = list(batches([FrameJob(check_host_frame(frame)) for frame in frames], 2))
    assert [len(group) for group in groups] == [2, 1, 2, 1, 2]
    assert [group[0].kind for group in groups] == [
        ((64, 32), True), ((64, 32), True), ((64, 32), False), ((64, 32), True), ((32, 64), True),
    ]  # fmt: skip


def frames(name: str, number: int, size: tuple[int, int] = (8, 8)) -> Iterator[FrameJob]:
    for index in range(number):
        yield FrameJob(check_host_frame(black(*size)), Frame(black(*size), name, index, 0.0))


def name_of(job: FrameJob) -> str:
    assert job.origin is not None
    return f"{job.origin.source}{job.origin.index}"


def names(groups: Iterator[list[FrameJob]]) -> list[list[str]]:
    return [[name_of(job) for job in group] for group in groups]


def test_a_round_has_a_frame_of_each_source_that_is_left() -> None:
    readers = [ReadAhead(frames("a", 3)), ReadAhead(frames("b", 1)), ReadAhead(frames("c", 2))]
    found = names(rounds(readers, 8, None, None))
    assert found == [["a0", "b0", "c0"], ["a1", "c1"], ["a2"]]


def test_frames_of_other_sizes_go_apart_and_come_back_in_order() -> None:
    readers = [
        ReadAhead(frames("a", 2)), ReadAhead(frames("b", 2, (16, 8))), ReadAhead(frames("c", 2)),
    ]  # fmt: skip
    groups = list(rounds(readers, 8, None, None))
    assert names(iter(groups)) == [["a0", "c0"], ["b0"], ["a1", "c1"], ["b1"]]
    results = in_order([[(job, name_of(job)) for job in group] for group in groups])
    assert list(results) == ["a0", "b0", "c0", "a1", "b1", "c1"]


@pytest.mark.parametrize("first", [True, False])
def test_a_late_camera_is_not_waited_for_longer_than_asked(first: bool) -> None:
    gate = threading.Event()

    def late() -> Iterator[FrameJob]:
        gate.wait(10)
        yield from frames("late", 1)

    readers = [ReadAhead(late()), ReadAhead(frames("a", 2))][:: 1 if first else -1]
    found = rounds(readers, 8, 0.01, None)
    assert names(iter([next(found), next(found)])) == [["a0"], ["a1"]]
    gate.set()
    assert names(found) == [["late0"]]


def test_a_round_waits_for_cameras_that_come_in_time() -> None:
    gates = [threading.Event() for _ in range(3)]

    def late() -> Iterator[FrameJob]:
        for gate, frame in zip(gates, frames("late", 3), strict=True):
            gate.wait(10)
            yield frame

    found = rounds([ReadAhead(late()), ReadAhead(frames("a", 3))], 8, 10.0, None)
    for index, gate in enumerate(gates):
        threading.Timer(0.02, gate.set).start()
        assert names(iter([next(found)])) == [[f"late{index}", f"a{index}"]]


def test_leaving_several_cameras_stops_their_threads() -> None:
    gate = threading.Event()

    def late() -> Iterator[FrameJob]:
        gate.wait(10)
        yield from frames("late", 1)

    readers = [ReadAhead(frames("a", 9)), ReadAhead(late())]
    feed = ReadAhead(rounds(readers, 8, None, None), 1, name="rounds-of-test")
    for reader in (*readers, feed):
        reader.close()
    deadline = time.monotonic() + 10
    while any(thread.name == "rounds-of-test" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    gate.set()


def test_what_a_round_has_counted_comes_before_its_error() -> None:
    def groups() -> Iterator[list[tuple[FrameJob, str]]]:
        yield [(job(1), "b")]
        raise BackendError("the engine does not take a's size")

    results = in_order(groups())
    assert next(results) == "b"
    with pytest.raises(BackendError, match="a's size"):
        next(results)


@pytest.mark.parametrize(
    "error", [ValueError("no room"), BackendError("stop"), SourceError("stop")]
)
def test_what_a_caller_throws_in_is_raised_at_once(error: Exception) -> None:
    groups = (
        [(job(place), f"{name}{index}") for place, name in enumerate("ab")] for index in range(3)
    )
    results = in_order(groups)
    assert [next(results) for _ in range(3)] == ["a0", "b0", "a1"]
    with pytest.raises(type(error)) as caught:
        results.throw(error)  # type: ignore[attr-defined]
    assert caught.value is error
    assert list(results) == []


def job(place: int) -> FrameJob:
    return FrameJob(check_host_frame(black(8, 8)), place=place, together=2)


def test_a_dead_camera_ends_all_or_only_itself() -> None:
    def dying() -> Iterator[FrameJob]:
        yield from frames("b", 1)
        raise SourceError("b is dead")

    def readers() -> list[ReadAhead[FrameJob]]:
        return [ReadAhead(frames("a", 3)), ReadAhead(dying())]

    with pytest.raises(SourceError, match="b is dead"):
        list(rounds(readers(), 8, None, None))
    told: list[SourceError] = []
    assert names(rounds(readers(), 8, None, told.append)) == [["a0", "b0"], ["a1"], ["a2"]]
    assert [str(error) for error in told] == ["b is dead"]
