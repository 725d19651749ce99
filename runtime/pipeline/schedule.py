"""Frames through an engine, the next ones on their way while one is counted."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from edgecount.errors import BackendError, SourceError
from edgecount.runtime.sources.prefetch import Ended, NotReady, ReadAhead

if TYPE_CHECKING:
    from edgecount.runtime.frames.picture import Picture
    from edgecount.runtime.pipeline.lanes import Lane, LanePool

__all__ = ["LANES", "Feed", "Job", "Listed", "batches", "in_order", "overlap", "rounds"]

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
Result = TypeVar("Result")

# While one lane's frame is on the GPU, the other's is copied to it.
LANES = 2
_POLL = 0.002  # seconds between looks at several cameras


@dataclass(frozen=True, eq=False)
class Job:
    """A frame to count.

    Attributes:
        frame: checked, and on a GPU handed over.
        source: its source's name; None for a bare array.
        index: in its source; None for a bare array.
        place: among the sources of its round.
        together: jobs in its round.
    """

    frame: Picture
    source: str | None = None
    index: int | None = None
    place: int = 0
    together: int = 1

    @property
    def kind(self) -> tuple[object, ...]:
        """Jobs of one kind can go through the engine together."""
        return self.frame.size, self.frame.chroma is None


class Feed(Protocol[Item_co]):
    """Where items come from; `ReadAhead` is one."""

    def take(self, timeout: float | None = None) -> Item_co:
        """The next one; raises `NotReady` if it does not come in time, `Ended` after the last."""
        ...


class Listed(Feed[Item]):
    """A feed whose items are there when they are asked for."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)

    def take(self, timeout: float | None = None) -> Item:
        """The next one."""
        del timeout
        try:
            return next(self._items)
        except StopIteration:
            raise Ended from None


def overlap(
    feed: Feed[Item],
    pool: LanePool,
    submit: Callable[[Lane, Item], Callable[[], Result]],
    lanes: int = LANES,
) -> Generator[Result, None, None]:
    """Results of the items of a feed, in order.

    An item is submitted as soon as it is there and a lane is free, and a result is given as soon as
    no item waits: nothing is held back until the next frame of a slow camera. What an item or the
    feed raises is raised after the results before it.

    Args:
        feed: gives items.
        pool: lends the lanes.
        submit: starts an item on a lane, and returns what waits for its result.
        lanes: most items at once.
    """
    with ExitStack() as stack:
        idle = deque([stack.enter_context(pool.lend())])
        busy: deque[tuple[Lane, Callable[[], Result]]] = deque()
        held: list[Item] = []
        ending: Exception | None = None
        while busy or held or ending is None:
            if ending is None and not held and len(busy) < lanes:
                try:
                    pool.check_open()
                    held.append(feed.take(0 if busy else None))
                except NotReady:
                    pass
                except Exception as error:  # noqa: BLE001 (raised after the results before it)
                    ending = error
            if held and not idle:
                lanes = _add_lane(stack, pool, idle, lanes)
            if held and idle:
                try:
                    busy.append((idle[0], submit(idle[0], held.pop())))
                    idle.popleft()
                except Exception as error:  # noqa: BLE001
                    ending = error
            elif busy:
                lane, wait = busy.popleft()
                result = wait()
                idle.append(lane)
                yield result
        if not isinstance(ending, Ended):
            raise ending


def _add_lane(stack: ExitStack, pool: LanePool, idle: deque[Lane], lanes: int) -> int:
    """One more lane if there is room for it; returns how many there can be."""
    try:
        idle.append(stack.enter_context(pool.lend()))
    except BackendError as error:
        _log.info("frames go one after the other: %s", error)
        return 1
    return lanes


def batches(jobs: Iterable[Job], most: int) -> Iterator[list[Job]]:
    """Runs of jobs of one kind, at most so many at once."""
    for _, run in itertools.groupby(jobs, lambda job: job.kind):
        while group := list(itertools.islice(run, most)):
            yield group


def rounds(
    readers: Sequence[ReadAhead[Job]],
    most: int,
    timeout: float | None,
    on_error: Callable[[SourceError], None] | None,
) -> Iterator[list[Job]]:
    """A frame of each source at a time, those of one kind together.

    Args:
        readers: of the sources.
        most: frames in a batch.
        timeout: seconds that a round waits for late sources once it has a frame; None: for all.
        on_error: is told of a source that fails, and the others go on; None: the error is raised.
    """
    left = dict(enumerate(readers))
    while left:
        jobs = list(_round(left, timeout, on_error))
        jobs.sort(key=lambda job: (job.kind, job.place))
        yield from batches([replace(job, together=len(jobs)) for job in jobs], most)


def _round(
    left: dict[int, ReadAhead[Job]],
    timeout: float | None,
    on_error: Callable[[SourceError], None] | None,
) -> Iterator[Job]:
    """A frame of each source that has one in time; sources that end are taken from `left`."""
    missing = dict(left)
    deadline = math.inf
    while missing and time.monotonic() < deadline:
        for place, reader in list(missing.items()):
            with suppress(NotReady):
                try:
                    job = reader.take(None if timeout is None else 0)
                except Ended:
                    del left[place]
                except SourceError as error:
                    if on_error is None:
                        raise
                    del left[place]
                    on_error(error)
                else:
                    deadline = min(deadline, time.monotonic() + (timeout or 0.0))
                    yield replace(job, place=place)
                del missing[place]
        if missing:
            time.sleep(_POLL)


def in_order(groups: Iterable[Sequence[tuple[Job, Result]]]) -> Iterator[Result]:
    """Results of rounds, by the places of their sources."""
    found: list[tuple[Job, Result]] = []

    def give() -> Iterator[Result]:
        found.sort(key=lambda one: one[0].place)
        yield from (result for _, result in found)
        found.clear()

    left = iter(groups)
    while True:
        # Around this alone: what a caller throws in where a result is given is for the caller.
        try:
            group = next(left, None)
        except Exception:  # whatever it is: what was counted before it is given first
            yield from give()
            raise
        if group is None:
            return
        found += group
        if len(found) == found[0][0].together:
            yield from give()
