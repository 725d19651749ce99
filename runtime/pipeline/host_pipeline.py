"""The pipeline of engines on the host: on a CPU, several frames are counted at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from edgecount.errors import EdgeCountError
from edgecount.runtime.pipeline.ending import ends_before_the_interpreter
from edgecount.runtime.pipeline.feeds import LARGE, Listed
from edgecount.runtime.pipeline.host_runner import HostRunner
from edgecount.runtime.pipeline.job import LateJob, Outcome
from edgecount.runtime.pipeline.lanes import Lanes, Room
from edgecount.runtime.pipeline.pipelines import InGroups, Pipeline
from edgecount.runtime.pipeline.rounds import Rounds
from edgecount.runtime.pipeline.runner import RunnerPool
from edgecount.runtime.pipeline.side_by_side import SideBySide
from edgecount.runtime.pipeline.tiling import LARGEST_PLANE

if TYPE_CHECKING:
    from edgecount.result import CountResult
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.pipeline.feeds import ToJob
    from edgecount.runtime.pipeline.job import CountSettings, Job
    from edgecount.runtime.pipeline.pipelines import Counted
    from edgecount.runtime.sources.base import Frame
    from edgecount.runtime.sources.prefetch import Reader

Done = TypeVar("Done")
Done_co = TypeVar("Done_co", covariant=True)
Lend: TypeAlias = "Callable[[], AbstractContextManager[HostRunner]]"

_log = logging.getLogger(__name__)


class _Count(Protocol[Done_co]):
    """A way to count a job with a runner that is lent, alone with all cores or beside others."""

    def __call__(self, job: Job, lend: Lend, *, alone: bool) -> Done_co: ...


class HostPipeline(Pipeline[HostRunner]):
    """A pipeline without batches, which on a CPU are no faster and take more memory.

    Frames that wait are counted side by side, each by one thread from its decoding to its result.
    A frame that comes alone, as a camera's do, has all cores.

    Args:
        backend: the engine.
        settings: by which frames are counted.
        workers: frames to count at once; None: the engine's `lanes`, fewer of large frames, so that
            they take no more of the engine's memory together than the largest of them alone.
    """

    def __init__(
        self, backend: Backend, settings: CountSettings, workers: int | None = None
    ) -> None:
        self._backend, self._settings = backend, settings
        self._workers = backend.lanes if workers is None else workers
        self._of_lanes: Backend | None = None
        pixels = LARGEST_PLANE if workers is None else LARGEST_PLANE * workers
        self._pixels = pixels, pixels / 2 if workers is None else LARGEST_PLANE
        self._make_locks()
        self._of_thread = threading.local()  # whether it counts a frame
        super().__init__(RunnerPool(lambda: HostRunner(backend, settings)), 1)

    def _make_locks(self) -> None:
        self._opening = threading.Lock()
        self._in_engine = Room(*self._pixels)
        self._decoded = Room(LARGE * self._workers, LARGE)

    def start_anew(self) -> None:
        """Free what threads hold that a fork has left behind; see `Pipeline`."""
        super().start_anew()
        self._make_locks()

    @property
    def takes_late(self) -> bool:
        """Whether frames may be read by those who count them; see `Pipeline`."""
        return self._workers > 1

    def count_batch(self, jobs: Iterable[Job]) -> list[CountResult]:
        """Count several frames, all of them also if the pipeline is closed meanwhile."""
        with ExitStack() as stack:
            # All of them at once: a pool that is closed meanwhile lends no more.
            runners: SimpleQueue[HostRunner] = SimpleQueue()
            for _ in range(self._workers):
                runners.put(stack.enter_context(self._runners.acquire()))
            feed = InGroups(Listed(jobs))
            return list(self._side_by_side(feed, self._count_job, partial(_lent, runners)))

    def count_each(
        self, jobs: Iterable[Job], until: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        """Count several frames at once, and yield what became of each; see `Pipeline`."""

        def attempt(job: Job, lend: Lend, *, alone: bool) -> Outcome | None:
            if until():
                return None
            try:
                return Outcome(self._count_job(job, lend, alone=alone), job.origin)
            except Exception as error:  # noqa: BLE001 (codecs and engines raise anything)
                self.check_open()  # that it is closed is no fault of this frame
                return Outcome(error, job.origin)

        self.check_open()
        feed = InGroups(Listed(jobs))
        with closing(self._side_by_side(feed, attempt, self._runners.acquire)) as outcomes:
            for outcome in outcomes:
                if outcome is None:  # in order: what was begun came before it
                    return
                yield outcome

    def count_frames(
        self, frames: Iterable[Frame], to_job: ToJob, to_own: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count a frame when its result is asked for; all is done in the caller's thread.

        What makes the frames may be of that thread alone, as connections to databases are. See
        `Pipeline`.
        """
        del to_own
        for frame in frames:
            yield frame, self.count(to_job(frame))

    def _count_groups(self, feed: Reader[list[Job]]) -> Generator[Counted, None, None]:
        def count(job: Job, lend: Lend, *, alone: bool) -> Counted:
            return [(job, self._count_job(job, lend, alone=alone))]

        return self._side_by_side(feed, count, self._runners.acquire)

    def _side_by_side(
        self, feed: Reader[list[Job]], count: _Count[Done], lend: Lend
    ) -> Generator[Done, None, None]:
        """Yield what `count` makes of each job, in order."""
        alone = partial(count, lend=lend, alone=True)
        if not self.takes_late or self._is_counting() or feed.is_live():
            for (job,) in feed:
                yield alone(job)
            return
        beside = partial(count, lend=lend, alone=False)
        frames = SideBySide(feed, alone, partial(self._open_lanes, beside, lend), self._workers)
        if isinstance(feed, Rounds):
            feed.defer = frames.defer
        with closing(frames.run()) as done:
            yield from done

    def _open_lanes(
        self, work: Callable[[Job], Done], lend: Lend, on_done: Callable[[], None]
    ) -> Lanes[Job, Done] | None:
        with lend(), self._opening:  # what is lent keeps the engine from being closed meanwhile
            try:
                self._of_lanes = self._of_lanes or self._backend.for_lanes(self._workers)
            except (EdgeCountError, MemoryError) as error:
                _log.info("frames go one after the other: %s", error)
                return None
        return Lanes(self._workers, work, on_done)

    @ends_before_the_interpreter
    def _count_job(self, job: Job, lend: Lend, *, alone: bool) -> CountResult:
        """Read a frame, if that is still to be done, and count it when there is room for it."""
        is_nested = self._is_counting()
        # A frame that is counted within another one's `refine` has that one's room.
        hold_engine, hold_pixels = (
            (_hold_nothing, _hold_nothing)
            if is_nested
            else (self._in_engine.hold, self._decoded.hold)
        )
        with ExitStack() as stack:
            if isinstance(job, LateJob):
                job = job.read(lambda w, h: stack.enter_context(hold_pixels(3 * w * h)))
            pixels = self._settings.largest_plane(job.frame.size)
            stack.enter_context(hold_engine(pixels))
            runner = stack.enter_context(lend())
            has_all = alone or not self._in_engine.has_for_two(pixels)
            self._of_thread.counts = True
            stack.callback(setattr, self._of_thread, "counts", is_nested)
            return runner.count(job, None if has_all else self._of_lanes)

    def _is_counting(self) -> bool:
        """Return whether this thread counts a frame of this pipeline: `refine` may count others."""
        return getattr(self._of_thread, "counts", False)


def _hold_nothing(_size: float) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _lent(runners: SimpleQueue[HostRunner]) -> Iterator[HostRunner]:
    runner = runners.get()
    try:
        yield runner
    finally:
        runners.put(runner)
