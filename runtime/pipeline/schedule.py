"""Frames in batches, and overlapped on a GPU."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Generic, TypeVar

from edgecount.errors import BackendError
from edgecount.runtime.sources.prefetch import Ended, NotReady

if TYPE_CHECKING:
    from edgecount.result import CountResult
    from edgecount.runtime.pipeline.job import FrameJob
    from edgecount.runtime.pipeline.runner import Pending, QueueingRunner, RunnerPool

_log = logging.getLogger(__name__)

QueueingRunnerT = TypeVar("QueueingRunnerT", bound="QueueingRunner")

# While the engine works on one runner's frames, the other's are copied to the GPU. A third would
# take memory, and its frames would only wait longer.
_RUNNERS = 2


def overlap(
    take: Callable[[float | None], Sequence[FrameJob]],
    pool: RunnerPool[QueueingRunnerT],
    place_of: Callable[[Sequence[FrameJob]], int | None] = lambda _: 0,
) -> Generator[list[tuple[FrameJob, CountResult]], None, None]:
    """Count groups of jobs while the next group is on its way, and yield them in order.

    A group is submitted as soon as it is there and a runner is free, and its results are given as
    soon as no group waits: nothing is held back until the next frame of a slow camera.

    Args:
        take: returns the next group of jobs of one kind, as `Reader.take` does: it is given the
            seconds to wait, and raises `NotReady` if there is no group in time, `Ended` or
            StopIteration after the last.
        pool: lends the runners, at most two at once of a device; one where there is no memory for
            two.
        place_of: returns the position, among the pool's devices, of the one that has to count a
            group; None: the one that has the least to do.

    Yields:
        The jobs of a group with their results.

    Raises:
        Exception: what `take` or a group raises, after the results before it.
    """
    with ExitStack() as stack:
        lent = _Lent(stack, pool)
        busy: deque[tuple[int, QueueingRunnerT, Sequence[FrameJob], Pending]] = deque()
        waiting: Sequence[FrameJob] | None = None  # taken and not yet submitted
        over = False
        failure: Exception | None = None
        while busy or waiting is not None or not over:
            if not over and waiting is None and len(busy) < lent.most:
                try:
                    pool.check_open()
                    # With a group on the GPU its results are due next: look, but do not wait.
                    waiting = take(0 if busy else None)
                except NotReady:
                    pass
                except (Ended, StopIteration):
                    over = True
                except Exception as error:  # noqa: BLE001 (raised after the results before it)
                    over, failure = True, error
            try:
                free = None if waiting is None else lent.find_free(place_of(waiting))
                if waiting is not None and free is not None:
                    # A runner whose submit fails stays free; the stack drains it on the way out.
                    jobs, waiting = waiting, None
                    busy.append((*free, jobs, free[1].submit(jobs)))
                    lent.take(*free)
                    continue
            except Exception as error:  # noqa: BLE001
                over, failure, waiting = True, error, None
            if busy:
                # No group is there, or no runner is free: time for the oldest results.
                place, runner, jobs, pending = busy.popleft()
                results = pending()
                lent.give_back(place, runner)
                yield list(zip(jobs, results, strict=True))
        if failure is not None:
            raise failure


class _Lent(Generic[QueueingRunnerT]):
    """The runners that a pool has lent to a schedule.

    Args:
        stack: gives them back to the pool.
        pool: lends them, each when it is first of use: on the device that has to count.

    Raises:
        BackendError: the pool is closed.
    """

    def __init__(self, stack: ExitStack, pool: RunnerPool[QueueingRunnerT]) -> None:
        self._stack, self._pool = stack, pool
        self._idle: list[deque[QueueingRunnerT]] = [deque() for _ in range(pool.places)]
        self._busy = [0] * pool.places
        self._most = [_RUNNERS] * pool.places
        pool.check_open()

    @property
    def most(self) -> int:
        """The most runners that there can be."""
        return sum(self._most)

    def find_free(self, place: int | None) -> tuple[int, QueueingRunnerT] | None:
        """Return a runner that has nothing to do, and its device's place; None: all have.

        Args:
            place: the place that it has to be of; None: any.

        Raises:
            BackendError: there is no memory for a first runner on a device.
        """
        places = range(self._pool.places) if place is None else (place,)
        for at in sorted(places, key=self._busy.__getitem__):
            if self._idle[at] or self._add(at):
                return at, self._idle[at][0]
        return None

    def take(self, place: int, runner: QueueingRunnerT) -> None:
        """Note that a runner has work."""
        self._idle[place].remove(runner)
        self._busy[place] += 1

    def give_back(self, place: int, runner: QueueingRunnerT) -> None:
        """Note that the work of a runner is done."""
        self._idle[place].append(runner)
        self._busy[place] -= 1

    def _add(self, place: int) -> bool:
        """Acquire one more runner of a device that has none idle; return whether there is one."""
        if self._busy[place] >= self._most[place]:
            return False
        try:
            self._idle[place].append(self._stack.enter_context(self._pool.acquire(place)))
        except BackendError as error:
            if not self._busy[place]:
                raise
            _log.info("frames go one after the other: %s", error)
            self._most[place] = self._busy[place]
            return False
        return True


def batches(jobs: Iterable[FrameJob], most: int) -> Iterator[list[FrameJob]]:
    """Group jobs of one kind that follow each other, at most so many in a group."""
    for _, run in itertools.groupby(jobs, lambda job: job.kind):
        while group := list(itertools.islice(run, most)):
            yield group
