"""Frames counted side by side on a CPU, in the order in which they come."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

from edgecount.runtime.pipeline.feeds import is_large
from edgecount.runtime.pipeline.job import FrameJob, LateJob
from edgecount.runtime.sources.prefetch import Ended, NotReady

if TYPE_CHECKING:
    from edgecount.runtime.pipeline.job import Job
    from edgecount.runtime.pipeline.lanes import Lanes
    from edgecount.runtime.sources.prefetch import Reader

Done = TypeVar("Done")
OnDone: TypeAlias = "Callable[[], None]"

# Frames that are there beside those in the lanes: done, and not yet asked for, or next in turn. So
# a lane need not wait for the frame before its own, nor for a caller who writes a result down.
_BESIDE = 2

_CALLED = object()  # what comes of a call, which no frame gives


class SideBySide(Generic[Done]):
    """The frames of one feed on their way through several lanes.

    The feed is read by the thread that asks for the results, as far ahead as there is room. A
    frame that comes while none is in the lanes, and that no other waits behind, is counted at once
    in that thread: it has all cores, and nobody waits for a frame that is not there yet.

    Args:
        feed: gives groups of one job each.
        alone: counts a job in the thread that calls it, with all cores.
        open_lanes: opens the lanes when they are first of use, given what they call when a frame
            is done; None where there is no memory for them: then frames go one after the other.
        number: of the lanes.
    """

    def __init__(
        self,
        feed: Reader[list[Job]],
        alone: Callable[[Job], Done],
        open_lanes: Callable[[OnDone], Lanes[Job, Done] | None],
        number: int,
    ) -> None:
        self._feed, self._alone, self._open_lanes = feed, alone, open_lanes
        self._most = number + _BESIDE
        self._lanes: Lanes[Job, Done] | None = None
        self._stack = ExitStack()
        # Jobs, futures of those in the lanes, and calls to make when it is their turn.
        self._pending: deque[Job | Future[Done] | Callable[[], object]] = deque()
        self._jobs = 0  # that are pending
        self._is_full = False  # a large frame is pending
        self._ending: Exception | None = None
        self._changed = threading.Event()

    def run(self) -> Generator[Done, None, None]:
        """Yield what comes of each frame, in order.

        Raises:
            Exception: what the feed or a frame raises, after the results before it.
        """
        self._feed.on_change = self._changed.set
        with self._stack:
            while self._pending or self._ending is None:
                self._changed.clear()  # before the look: what changes after it ends the wait
                self._fill()
                if not self._pending:
                    continue
                if not self._is_due(self._pending[0]):
                    self._changed.wait()
                elif (done := self._take_first()) is not _CALLED:
                    yield cast("Done", done)
                    del done
            if not isinstance(self._ending, Ended):
                raise self._ending

    def defer(self, call: Callable[[], object]) -> None:
        """Make a call when the results of the frames that are pending now are given."""
        if self._pending:
            self._pending.append(call)
        else:
            call()

    def _fill(self) -> None:
        """Take the jobs that are there, and put them into the lanes if there are several."""
        while self._ending is None and self._jobs < self._most and not self._is_full:
            try:
                (job,) = self._feed.take(0 if self._pending else None)
            except NotReady:
                break
            except Exception as error:  # noqa: BLE001 (raised after the results before it)
                self._ending = error
                break
            self._pending.append(job)
            self._jobs += 1
            self._is_full = isinstance(job, FrameJob) and is_large(job)
            del job
        if self._jobs > 1:
            self._submit()

    def _submit(self) -> None:
        if self._lanes is None:
            lanes = self._open_lanes(self._changed.set)
            if lanes is None:
                self._most = 1
                return
            self._lanes = self._stack.enter_context(lanes)
        for place, one in enumerate(self._pending):
            if isinstance(one, (FrameJob, LateJob)):
                self._pending[place] = self._lanes.submit(one)

    @staticmethod
    def _is_due(first: Job | Future[Done] | Callable[[], object]) -> bool:
        return not isinstance(first, Future) or first.done()

    def _take_first(self) -> Done | object:
        """Return what came of the first frame that is pending; of a call, make it: `_CALLED`."""
        first = self._pending.popleft()
        if callable(first):
            first()
            return _CALLED
        self._jobs -= 1
        self._is_full = self._is_full and self._jobs > 0
        if isinstance(first, Future):
            return first.result()
        return self._alone(first)
