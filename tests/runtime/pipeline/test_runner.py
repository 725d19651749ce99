"""The pool that lends runners to threads."""

from __future__ import annotations

import pytest

from edgecount.errors import BackendError, SourceError
from edgecount.runtime.pipeline.runner import Runner, RunnerPool


class Careless(Runner):
    """A runner with nothing to wait for and nothing to free."""

    def count(self, job):
        raise AssertionError("no frame is counted here")


class Breakable(Careless):
    """A runner that notes that it is closed, and may fail while it drains."""

    def __init__(self) -> None:
        self.closed = self.broken = False

    def drain(self) -> None:
        if self.broken:
            raise BackendError("the GPU is gone")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def runners() -> list[Breakable]:
    return []


@pytest.fixture
def pool(runners: list[Breakable]) -> RunnerPool[Breakable]:
    def open_runner() -> Breakable:
        runners.append(Breakable())
        return runners[-1]

    return RunnerPool(open_runner)


def test_a_pool_lends_as_many_runners_as_are_in_use(pool, runners) -> None:
    with pool.acquire() as first, pool.acquire() as second:
        assert first is not second
    with pool.acquire() as again:
        assert again in (first, second)
        pool.close()
        assert not again.closed
    assert again.closed
    assert all(runner.closed for runner in runners)


def test_a_runner_in_which_something_failed_is_acquired_again_if_it_can_be_used(
    pool, runners
) -> None:
    def fail() -> None:
        with pool.acquire():
            raise SourceError("no frame")

    for _ in range(2):
        with pytest.raises(SourceError):
            fail()
    assert len(runners) == 1
    runners[0].broken = True
    with pytest.raises(SourceError):
        fail()
    assert runners[0].closed
    with pool.acquire() as other:
        assert other is not runners[0]


def test_what_comes_after_closing_waits_for_the_last_runner(pool, runners) -> None:
    ended: list[bool] = []
    with pool.acquire():
        pool.close(lambda: ended.append(runners[0].closed))
        assert ended == []
        with pytest.raises(BackendError, match="the counter is closed"), pool.acquire():
            pass
        assert ended == []
    assert ended == [True]


def test_a_runner_that_needs_no_care_is_lent_as_well() -> None:
    pool = RunnerPool(Careless)

    def fail() -> None:
        with pool.acquire():
            raise SourceError("no frame")

    with pool.acquire() as first, pool.acquire() as second:
        assert first is not second
    with pytest.raises(SourceError):
        fail()
    pool.close()
