"""Frames in batches, and overlapped on a GPU."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

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
    take: Callable[[float | None], Sequence[FrameJob]], pool: RunnerPool[QueueingRunnerT]
) -> Generator[list[tuple[FrameJob, CountResult]], None, None]:
    """Count groups of jobs while the next group is on its way, and yield them in order.

    A group is submitted as soon as it is there and a runner is free, and its results are given as
    soon as no group waits: nothing is held back until the next frame of a slow camera.

    Args:
        take: returns the next group of jobs of one kind, as `Reader.take` does: it is given the
            seconds to wait, and raises `NotReady` if there is no group in time, `Ended` or
            StopIteration after the last.
        pool: lends the runners, at most two at once; one where there is no memory for two.

    Yields:
        The jobs of a group with their results.

    Raises:
        Exception: what `take` or a group raises, after the results before it.
    """
    with ExitStack() as stack:
        idle = deque([stack.enter_context(pool.acquire())])
        busy: deque[tuple[QueueingRunnerT, Sequence[FrameJob], Pending]] = deque()
        waiting: Sequence[FrameJob] | None = None  # taken and not yet submitted
        most = _RUNNERS
        ending: Exception | None = None
        while busy or waiting is not None or ending is None:
            if ending is None and waiting is None and len(busy) < most:
                try:
                    pool.check_open()
                    # With a group on the GPU its results are due next: look, but do not wait.
                    waiting = take(0 if busy else None)
                except NotReady:
                    pass
                except Exception as error:  # noqa: BLE001 (raised after the results before it)
                    ending = error
            if waiting is not None and not idle:
                # The second runner is opened when it is first of use: one frame takes one.
                most = _add_runner(stack, pool, idle, most)
            if waiting is not None and idle:
                # A runner whose submit fails stays idle; the stack drains it on the way out.
                jobs, waiting = waiting, None
                try:
                    busy.append((idle[0], jobs, idle[0].submit(jobs)))
                    idle.popleft()
                except Exception as error:  # noqa: BLE001
                    ending = error
            elif busy:
                # No group is there, or no runner is free: time for the oldest results.
                runner, jobs, pending = busy.popleft()
                results = pending()
                idle.append(runner)
                yield list(zip(jobs, results, strict=True))
        if not isinstance(ending, (Ended, StopIteration)):
            raise ending


def _add_runner(
    stack: ExitStack,
    pool: RunnerPool[QueueingRunnerT],
    idle: deque[QueueingRunnerT],
    most: int,
) -> int:
    """Acquire one more runner if there is memory for it; return how many there can be."""
    try:
        idle.append(stack.enter_context(pool.acquire()))
    except BackendError as error:
        _log.info("frames go one after the other: %s", error)
        return 1
    return most


def batches(jobs: Iterable[FrameJob], most: int) -> Iterator[list[FrameJob]]:
    """Group jobs of one kind that follow each other, at most so many in a group."""
    for _, run in itertools.groupby(jobs, lambda job: job.kind):
        while group := list(itertools.islice(run, most)):
            yield group
