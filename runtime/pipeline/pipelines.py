"""The pipelines of a counter: how its calls use runners, on the host and on a GPU."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Generic, TypeAlias, cast

from edgecount.runtime.pipeline.feeds import read_ahead
from edgecount.runtime.pipeline.host_runner import HostRunner
from edgecount.runtime.pipeline.rounds import Rounds, in_order
from edgecount.runtime.pipeline.runner import QueueingRunner, RunnerPool, RunnerT
from edgecount.runtime.pipeline.schedule import batches, overlap
from edgecount.runtime.sources.prefetch import Reader

if TYPE_CHECKING:
    from edgecount.errors import SourceError
    from edgecount.result import CountResult
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.pipeline.feeds import ToJob
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob
    from edgecount.runtime.sources.base import Frame

Counted: TypeAlias = "Sequence[tuple[FrameJob, CountResult]]"


class Pipeline(ABC, Generic[RunnerT]):
    """The way of a counter's frames through its engine; several threads may use it at once.

    All methods that count raise BackendError if the engine fails, gives maps that its manifest does
    not promise, or if the pipeline is closed.
    """

    def __init__(self, open_runner: Callable[[], RunnerT], largest_batch: int) -> None:
        self._runners = RunnerPool(open_runner)
        self._largest_batch = largest_batch
        self._lock = threading.Lock()
        self._feeds: set[Reader[list[FrameJob]]] = set()  # of the streams in progress

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame."""
        with self._runners.acquire() as runner:
            return runner.count(job)

    @abstractmethod
    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, in order."""

    def count_frames(
        self, frames: Iterable[Frame], to_job: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count a caller's own frames as they come, and yield each with its result, in order."""
        yield from self.count_stream(read_ahead(frames, to_job))

    def count_stream(self, jobs: Reader[FrameJob]) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames as they come, and yield each with its result, in order."""
        with closing(self._count_all(_Alone(jobs))) as groups:
            for group in groups:
                yield from ((cast("Frame", job.origin), result) for job, result in group)

    def count_rounds(self, rounds: Rounds) -> Generator[CountResult, None, None]:
        """Count several sources in rounds of one frame each; see `EdgeCounter.stream_many`."""
        with closing(self._count_all(rounds)) as groups:
            yield from in_order(groups)

    def rounds(
        self,
        readers: Sequence[Reader[FrameJob]],
        timeout: float | None,
        on_error: Callable[[SourceError], object] | None,
    ) -> Rounds:
        """Return the rounds of several sources, in groups that the engine takes at once."""
        return Rounds(readers, self._largest_batch, timeout, on_error)

    def _count_all(self, feed: Reader[list[FrameJob]]) -> Generator[Counted, None, None]:
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
    def _count_groups(self, feed: Reader[list[FrameJob]]) -> Generator[Counted, None, None]:
        """Count groups of frames of one kind, and yield them in order with their results."""

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


class HostPipeline(Pipeline[HostRunner]):
    """A pipeline without batches, which on a CPU are no faster and take more memory."""

    def __init__(self, backend: Backend, settings: CountSettings) -> None:
        super().__init__(lambda: HostRunner(backend, settings), 1)

    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, all of them also if the pipeline is closed meanwhile."""
        with self._runners.acquire() as runner:
            return [runner.count(job) for job in jobs]

    def count_frames(
        self, frames: Iterable[Frame], to_job: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count a frame when its result is asked for; all is done in the caller's thread.

        What makes the frames may be of that thread alone, as connections to databases are.
        """
        for frame in frames:
            yield frame, self.count(to_job(frame))

    def _count_groups(self, feed: Reader[list[FrameJob]]) -> Generator[Counted, None, None]:
        for jobs in feed:
            yield list(zip(jobs, self.count_batch(jobs), strict=True))


class GpuPipeline(Pipeline[QueueingRunner]):
    """A pipeline of batches, of which the next is on its way to the GPU while one is counted."""

    def __init__(self, backend: DeviceBackend, settings: CountSettings) -> None:
        from edgecount.runtime.pipeline.gpu_runner import GpuRunner

        super().__init__(lambda: GpuRunner(backend, settings), backend.batches[1])

    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, those of one kind that follow each other together."""
        groups = batches(jobs, self._largest_batch)  # there when they are asked for
        counted = overlap(lambda _: next(groups), self._runners)
        return [result for group in counted for _, result in group]

    def _count_groups(self, feed: Reader[list[FrameJob]]) -> Generator[Counted, None, None]:
        return overlap(feed.take, self._runners)


class _Alone(Reader["list[FrameJob]"]):
    """Groups of one job each."""

    def __init__(self, jobs: Reader[FrameJob]) -> None:
        self._jobs = jobs

    def take(self, timeout: float | None = None) -> list[FrameJob]:
        return [self._jobs.take(timeout)]

    def close(self) -> None:
        self._jobs.close()
