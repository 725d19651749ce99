"""Batches, and overlapped runners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from edgecount.errors import BackendError, SourceError
from edgecount.runtime.frames.checked import NV12Frame, check_host_frame
from edgecount.runtime.pipeline.job import FrameJob
from edgecount.runtime.pipeline.runner import Pending, QueueingRunner, RunnerPool
from edgecount.runtime.pipeline.schedule import batches, overlap
from edgecount.runtime.sources.prefetch import Ended, NotReady


class Counting(QueueingRunner):
    """A runner that notes what it is asked to do; its jobs are numbers."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.closed = self.broken = False
        self.refused: Any = None
        self.error: Exception = SourceError("no frame")

    def submit(self, jobs: Sequence[Any]) -> Pending:
        if jobs[0] == self.refused:
            raise self.error
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


def test_a_runner_that_raises_stop_iteration_has_failed(pool) -> None:
    # Such a leak of an exhausted iterator is no end of the frames, which would lose the rest.
    with pool.acquire() as first, pool.acquire() as second:
        first.refused = second.refused = 2
        first.error = second.error = StopIteration()
    found: list[int] = []
    with pytest.raises(RuntimeError, match="StopIteration"):
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
        ((64, 32), "bgr", -1),
        ((64, 32), "bgr", -1),
        ((64, 32), "nv12_bt601", -1),
        ((64, 32), "bgr", -1),
        ((32, 64), "bgr", -1),
    ]
