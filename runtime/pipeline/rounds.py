"""Rounds of several sources, in which each has its turn."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edgecount.errors import SourceError
from edgecount.runtime.pipeline.schedule import batches
from edgecount.runtime.sources.prefetch import Ended, NotReady, Reader

if TYPE_CHECKING:
    from edgecount.runtime.pipeline.job import FrameJob, Job

Result = TypeVar("Result")

_NO_KIND: tuple[object, ...] = ((0, 0), False)


class Rounds(Reader[list["FrameJob"]]):
    """Groups of jobs of one kind, in rounds of at most one job of each source.

    Where no source is live, a round is put together before its groups are given, so that frames of
    one kind share a run of the engine and results have the order of the sources. Pictures of
    live sources would get old meanwhile: then those that are there are given at once, each time
    when a group is asked for.

    A round with a job in it is over when every source has given one, after `timeout` seconds, or
    when none that is left is worth waiting for (`Reader.patience`): a camera that is away keeps its
    place, and holds up nobody.

    Args:
        readers: one of each source.
        most: most jobs in a group.
        timeout: seconds that a round waits for late sources once it has a job; None: no limit.
        on_error: called with the error of a source that fails, and the others go on; None: the
            error is raised.

    Attributes:
        defer: called with the call of ``on_error``, to make it when the results before it are
            given; by default it is made at once.
    """

    def __init__(
        self,
        readers: Sequence[Reader[FrameJob]],
        most: int,
        timeout: float | None,
        on_error: Callable[[SourceError], object] | None,
    ) -> None:
        self._readers, self._most, self._on_error = tuple(readers), most, on_error
        self._timeout = math.inf if timeout is None else timeout
        self._changed = threading.Event()
        self.defer: Callable[[Callable[[], object]], object] = lambda call: call()
        for reader in self._readers:
            reader.on_change = self._tell_change
        self._left: dict[int, Reader[FrameJob]] | None = None  # by place; None: not yet begun
        self._live = False
        self._missing: dict[int, Reader[FrameJob]] = {}  # in this round
        self._begun, self._deadline = 0.0, math.inf
        self._has_job = False  # this round
        self._jobs: list[FrameJob] = []  # of this round, not yet in a group
        self._groups: deque[list[FrameJob]] = deque()
        self._kinds: dict[int, tuple[object, ...]] = {}  # of each source's last job
        self._closed = False

    def take(self, timeout: float | None = None) -> list[FrameJob]:
        """Return the next group; see `Reader.take`.

        Raises:
            SourceError: a source failed, and nobody is to be told.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._groups:
            self._changed.clear()  # before the look: what changes after it ends the wait
            if self._closed:
                raise Ended
            left = self._open() if self._left is None else self._left
            if not self._missing:
                self._missing, self._begun, self._deadline = dict(left), time.monotonic(), math.inf
                self._has_job = False
            has_asked_all = self._look(left)
            over, now = self._end_of_round(), time.monotonic()
            if has_asked_all and now >= over:
                self._missing = {}
            if self._jobs and (self._live or not self._missing):
                self._group()
            elif not left:
                raise Ended
            elif self._missing:
                if now >= end:
                    raise NotReady
                wait = min(over, end) - now
                self._changed.wait(None if wait == math.inf else wait)
        return self._groups.popleft()

    def is_live(self) -> bool:
        """Open the sources, and return whether one of those that are there is live."""
        if self._left is None and not self._closed:
            self._open()
        return self._live

    def _tell_change(self) -> None:
        self._changed.set()
        self.on_change()

    def close(self) -> None:
        """Close the readers; see `Reader.close`."""
        self._closed = True
        self._changed.set()
        for reader in self._readers:
            reader.close()

    def _open(self) -> dict[int, Reader[FrameJob]]:
        """Open the sources; return the readers of those that are there, by place."""
        self._left = dict(enumerate(self._readers))
        for place, reader in enumerate(self._readers):
            self._open_one(place, reader)
        self._live = any(reader.is_live() for reader in self._left.values())
        return self._left

    def _open_one(self, place: int, reader: Reader[FrameJob]) -> None:
        try:
            reader.open()
        except SourceError as error:
            self._fail(place, error)

    def _look(self, left: dict[int, Reader[FrameJob]]) -> bool:
        """Take the jobs that are there, of live sources no more than a group.

        Returns:
            Whether all sources were asked: a round is not over for one that has had no turn.
        """

        def turn(place: int) -> tuple[tuple[object, ...], int]:
            # Those of one kind side by side: they may go into one group.
            return self._kinds.get(place, _NO_KIND) if self._most > 1 else _NO_KIND, place

        for place in sorted(self._missing, key=turn):
            if self._live and self._jobs and self._is_full(turn(place)[0]):
                return False
            try:
                job = replace(self._missing[place].take(0), place=place)
            except NotReady:
                continue
            except Ended:
                del left[place], self._missing[place]
                continue
            except SourceError as error:
                del self._missing[place]
                self._fail(place, error)
                continue
            del self._missing[place]
            if not self._has_job:
                self._has_job, self._deadline = True, time.monotonic() + self._timeout
            self._kinds[place] = job.kind
            self._jobs.append(job)
        return True

    def _is_full(self, kind: tuple[object, ...]) -> bool:
        """Return whether a job of a kind, perhaps not known, is none for the group at hand."""
        return len(self._jobs) >= self._most or kind not in (_NO_KIND, self._jobs[0].kind)

    def _end_of_round(self) -> float:
        """Return the time at which nobody is waited for any more."""
        if not self._missing:
            return -math.inf
        if not self._has_job:
            return math.inf
        patience = [reader.patience for reader in self._missing.values()]
        longest = max(math.inf if seconds is None else seconds for seconds in patience)
        return min(self._deadline, self._begun + longest)

    def _group(self) -> None:
        # Frames of one kind side by side, so that they share a run of the engine.
        jobs = sorted(self._jobs, key=lambda job: (job.kind, job.place))
        self._jobs = []
        self._groups += batches([replace(job, together=len(jobs)) for job in jobs], self._most)

    def _fail(self, place: int, error: SourceError) -> None:
        if self._on_error is None:
            raise error
        if self._left is not None:
            del self._left[place]
        self.defer(partial(self._on_error, error))


def in_order(groups: Iterable[Sequence[tuple[Job, Result]]]) -> Iterator[Result]:
    """Yield the results of groups that belong together, by the places of their sources."""
    found: list[tuple[Job, Result]] = []

    def give() -> Iterator[Result]:
        found.sort(key=lambda one: one[0].place)
        yield from (result for _, result in found)
        found.clear()

    left = iter(groups)
    while True:
        # Only errors of the groups are held back here: one that the caller throws in at a yield
        # must reach the caller at once.
        try:
            group = next(left, None)
        except Exception:  # of any kind: what was counted before it is given first
            yield from give()
            raise
        if group is None:
            return
        found += group
        if len(found) == found[0][0].together:
            yield from give()
