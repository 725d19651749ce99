"""The pipelines of a counter: how its calls use runners, on the host and on a GPU."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast
from weakref import WeakSet

from edgecount.runtime.pipeline.feeds import read_ahead
from edgecount.runtime.pipeline.job import LateJob, Outcome
from edgecount.runtime.pipeline.rounds import Rounds, in_order
from edgecount.runtime.pipeline.runner import QueueingRunner, RunnerPool, RunnerT
from edgecount.runtime.pipeline.schedule import batches, overlap
from edgecount.runtime.sources.prefetch import Reader

if TYPE_CHECKING:
    from edgecount.errors import SourceError
    from edgecount.result import CountResult
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.pipeline.feeds import ToJob
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob, Job
    from edgecount.runtime.sources.base import Frame

Counted: TypeAlias = "Sequence[tuple[Job, CountResult]]"


class Pipeline(ABC, Generic[RunnerT]):
    """The way of a counter's frames through its engine; several threads may use it at once.

    All methods that count raise BackendError if the engine fails, gives maps that its manifest does
    not promise, or if the pipeline is closed.
    """

    def __init__(self, runners: RunnerPool[RunnerT], largest_batch: int) -> None:
        self._runners = runners
        self._largest_batch = largest_batch
        self._lock = threading.Lock()
        self._feeds: set[Reader[list[Job]]] = set()  # of the streams in progress
        _pipelines.add(self)

    @property
    def takes_late(self) -> bool:
        """Whether jobs may be `LateJob`s: they are read by several threads at once."""
        return False

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame."""
        with self._runners.acquire() as runner:
            return runner.count(job)

    @abstractmethod
    def count_batch(self, jobs: Iterable[Job]) -> list[CountResult]:
        """Count several frames, in order."""

    def count_each(
        self, jobs: Iterable[Job], until: Callable[[], bool]
    ) -> Generator[Outcome, None, None]:
        """Count several frames, and yield what became of each, in order.

        Args:
            jobs: iterated by the thread that asks for the outcomes.
            until: asked before each frame; once it returns True, no further one is begun.
        """
        self.check_open()
        for job in jobs:
            if until():
                return
            yield self._attempt(job)

    def _attempt(self, job: Job) -> Outcome:
        try:
            read = job.read(_ignore_size) if isinstance(job, LateJob) else job
            return Outcome(self.count(read), job.origin)
        except Exception as error:  # noqa: BLE001 (codecs and engines raise anything)
            self.check_open()  # that it is closed is no fault of this frame
            return Outcome(error, job.origin)

    def count_frames(
        self, frames: Iterable[Frame], to_job: ToJob, to_own: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count a caller's own frames as they come, and yield each with its result, in order.

        Args:
            frames: the frames, of which each may be in the array of the one before it.
            to_job: makes the job of a frame that is counted before the next one is asked for.
            to_own: makes that of one that is not: its pixels are copied.
        """
        del to_job
        yield from self.count_stream(read_ahead(frames, to_own))

    def count_stream(self, jobs: Reader[Job]) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames as they come, and yield each with its result, in order."""
        with closing(self._count_all(InGroups(jobs))) as groups:
            for group in groups:
                yield from ((cast("Frame", job.origin), result) for job, result in group)

    def count_rounds(self, rounds: Rounds) -> Generator[CountResult, None, None]:
        """Count several sources in rounds of one frame each; see `EdgeCounter.stream_many`."""
        with closing(self._count_all(cast("Reader[list[Job]]", rounds))) as groups:
            yield from in_order(groups)

    def rounds(
        self,
        readers: Sequence[Reader[Job]],
        timeout: float | None,
        on_error: Callable[[SourceError], object] | None,
    ) -> Rounds:
        """Return the rounds of several sources, in groups that the engine takes at once."""
        return Rounds(
            cast("Sequence[Reader[FrameJob]]", readers), self._largest_batch, timeout, on_error
        )

    def _count_all(self, feed: Reader[list[Job]]) -> Generator[Counted, None, None]:
        """Count groups until the feed ends or the pipeline is closed, and close the feed."""
        with self._lock:
            self._feeds.add(feed)
        try:
            with feed:
                self.check_open()
                with closing(self._count_groups(feed)) as groups:
                    yield from groups
            self.check_open()  # a pipeline that is closed has ended the feed
        finally:
            with self._lock:
                self._feeds.discard(feed)

    @abstractmethod
    def _count_groups(self, feed: Reader[list[Job]]) -> Generator[Counted, None, None]:
        """Count groups of frames of one kind, and yield them in order with their results."""

    def start_anew(self) -> None:
        """Free, in a forked process, what threads hold that are not there: engines refuse forks."""
        self._lock = threading.Lock()
        self._runners.start_anew()

    def check_open(self) -> None:
        """Raise BackendError if the pipeline is closed."""
        self._runners.check_open()

    def close(self, after: Callable[[], None] | None = None) -> None:
        """Close the runners once their frames are counted, then call `after`; end all streams."""
        self._runners.close(after)
        with self._lock:
            feeds = list(self._feeds)
        for feed in feeds:  # whoever waits for a camera's next picture waits no longer
            feed.close()


class GpuPipeline(Pipeline[QueueingRunner]):
    """A pipeline of batches, of which the next is on its way to the GPU while one is counted.

    Args:
        backends: the engine on each GPU; with several, frames of the host go to the one that has
            the least to do, and frames on a GPU stay there.
        settings: the model and the options.
    """

    def __init__(self, backends: Sequence[DeviceBackend], settings: CountSettings) -> None:
        from edgecount.runtime.pipeline.gpu_runner import GpuRunner

        openers = [partial(GpuRunner, backend, settings) for backend in backends]
        runners: RunnerPool[QueueingRunner] = RunnerPool(*openers)
        super().__init__(runners, min(backend.batches[1] for backend in backends))
        self._places = {backend.device_index: at for at, backend in enumerate(backends)}

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame."""
        place = self._place_of([job])
        if place is None:
            place = self._runners.least_used()
        with self._runners.acquire(place) as runner:
            return runner.count(job)

    def count_batch(self, jobs: Iterable[Job]) -> list[CountResult]:
        """Count several frames, those of one kind that follow each other together."""
        on_time = cast("Iterable[FrameJob]", jobs)
        groups = batches(on_time, self._largest_batch)  # there when they are asked for
        counted = overlap(lambda _: next(groups), self._runners, self._place_of)
        return [result for group in counted for _, result in group]

    def _count_groups(self, feed: Reader[list[Job]]) -> Generator[Counted, None, None]:
        take = cast("Callable[[float | None], Sequence[FrameJob]]", feed.take)
        return cast("Generator[Counted, None, None]", overlap(take, self._runners, self._place_of))

    def _place_of(self, jobs: Sequence[FrameJob]) -> int | None:
        """Return which of the GPUs has to count a group; None: any."""
        gpu = jobs[0].gpu  # of one kind, so the same of all
        return None if gpu is None else self._places[gpu]


class InGroups(Reader["list[Job]"]):
    """Jobs in groups of one."""

    def __init__(self, jobs: Reader[Job]) -> None:
        self._jobs = jobs
        jobs.on_change = self._tell_change

    def take(self, timeout: float | None = None) -> list[Job]:
        """Return the next job in a list; see `Reader.take`."""
        return [self._jobs.take(timeout)]

    def _tell_change(self) -> None:
        self.on_change()

    def is_live(self) -> bool:
        """Return whether jobs get old; see `Reader.is_live`."""
        return self._jobs.is_live()

    def close(self) -> None:
        """Close the reader of the jobs."""
        self._jobs.close()


_pipelines: WeakSet[Pipeline[Any]] = WeakSet()


def _start_anew() -> None:
    for pipeline in list(_pipelines):
        pipeline.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def _ignore_size(width: int, height: int) -> None:
    del width, height
