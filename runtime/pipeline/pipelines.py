"""The pipelines of a counter: how its calls use runners, on the host and on a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Generic, TypeAlias, cast

from edgecount.runtime.pipeline.host_runner import HostRunner
from edgecount.runtime.pipeline.runner import QueueingRunner, RunnerPool, RunnerT
from edgecount.runtime.pipeline.schedule import batches, in_order, overlap, rounds
from edgecount.runtime.sources.prefetch import ReadAhead, each

if TYPE_CHECKING:
    from edgecount.errors import SourceError
    from edgecount.result import CountResult
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob
    from edgecount.runtime.sources.base import Frame

_READ_AHEAD = 2  # frames of a source that are read before they are asked for

ToJob: TypeAlias = "Callable[[Frame], FrameJob]"
Groups: TypeAlias = "Generator[Sequence[tuple[FrameJob, CountResult]], None, None]"


class Pipeline(ABC, Generic[RunnerT]):
    """The way of a counter's frames through its engine; several threads may use it at once.

    All methods that count raise BackendError if the engine fails, gives maps that its manifest does
    not promise, or if the pipeline is closed.
    """

    def __init__(self, open_runner: Callable[[], RunnerT], largest_batch: int) -> None:
        self._runners = RunnerPool(open_runner)
        self._largest_batch = largest_batch

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame."""
        with self._runners.acquire() as runner:
            return runner.count(job)

    @abstractmethod
    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, in order."""

    @abstractmethod
    def count_stream(
        self, frames: Iterable[Frame], to_job: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames as they come, and yield each with its result, in order."""

    @abstractmethod
    def _count_groups(self, feed: ReadAhead[list[FrameJob]]) -> Groups:
        """Count groups of frames of one kind, and yield them in order with their results."""

    def count_sources(
        self,
        sources: Iterable[Iterable[Frame]],
        to_job: ToJob,
        timeout: float | None,
        on_error: Callable[[SourceError], None] | None,
    ) -> Iterator[CountResult]:
        """Count several sources in rounds of one frame each; see `EdgeCounter.stream_many`."""
        # Leaving it stops the counting first, then the rounds, then the sources' threads.
        with ExitStack() as stack:
            jobs = (each(to_job, frames) for frames in sources)
            readers = [stack.enter_context(ReadAhead(one, _READ_AHEAD)) for one in jobs]
            groups = rounds(readers, self._largest_batch, timeout, on_error)
            # One group is put together while one is counted; more would be older than they need be.
            feed = stack.enter_context(ReadAhead(groups, 1))
            yield from in_order(stack.enter_context(closing(self._count_groups(feed))))

    def check_open(self) -> None:
        """Raise BackendError if the pipeline is closed."""
        self._runners.check_open()

    def close(self, after: Callable[[], None] | None = None) -> None:
        """Close the runners once their frames are counted, then call `after`."""
        self._runners.close(after)


class HostPipeline(Pipeline[HostRunner]):
    """A pipeline without batches, which on a CPU are no faster and take more memory."""

    def __init__(self, backend: Backend, settings: CountSettings) -> None:
        super().__init__(lambda: HostRunner(backend, settings), 1)

    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, all of them also if the pipeline is closed meanwhile."""
        with self._runners.acquire() as runner:
            return [runner.count(job) for job in jobs]

    def count_stream(
        self, frames: Iterable[Frame], to_job: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count a frame when its result is asked for."""
        for frame in frames:
            yield frame, self.count(to_job(frame))

    def _count_groups(self, feed: ReadAhead[list[FrameJob]]) -> Groups:
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

    def count_stream(
        self, frames: Iterable[Frame], to_job: ToJob
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames that a thread reads ahead."""
        # That thread takes the frames over from their library, too: see `FrameIntake`.
        with ReadAhead(each(lambda frame: [to_job(frame)], frames), _READ_AHEAD) as feed:
            for group in self._count_groups(feed):
                yield from ((cast("Frame", job.origin), result) for job, result in group)

    def _count_groups(self, feed: ReadAhead[list[FrameJob]]) -> Groups:
        return overlap(feed.take, self._runners)
