"""The seam between a counter and the pipeline that its frames go through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Generic

from edgecount.runtime.pipeline.runner import RunnerPool, RunnerT
from edgecount.runtime.pipeline.schedule import in_order, rounds
from edgecount.runtime.sources.prefetch import ReadAhead, each

if TYPE_CHECKING:
    from edgecount.errors import SourceError
    from edgecount.result import CountResult
    from edgecount.runtime.pipeline.job import FrameJob
    from edgecount.runtime.sources.base import Frame

__all__ = ["READ_AHEAD", "Pipeline"]

READ_AHEAD = 2  # frames of a source that are read before they are asked for


class Pipeline(ABC, Generic[RunnerT]):
    """Takes a counter's frames through its engine; several threads may use it at once.

    Args:
        open_runner: opens one more runner for the pool.
    """

    def __init__(self, open_runner: Callable[[], RunnerT]) -> None:
        self.runners = RunnerPool(open_runner)

    @property
    @abstractmethod
    def largest_batch(self) -> int:
        """Most frames that go through the engine together."""

    @abstractmethod
    def count(self, job: FrameJob) -> CountResult:
        """Count one frame.

        Raises:
            BackendError: the engine failed, gave maps that its manifest does not promise, or is
                closed. So do the other methods.
        """

    @abstractmethod
    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, in order."""

    @abstractmethod
    def count_stream(
        self, frames: Iterable[Frame], to_job: Callable[[Frame], FrameJob]
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames as they come, each with its result, in order."""

    @abstractmethod
    def count_groups(
        self, feed: ReadAhead[list[FrameJob]]
    ) -> Generator[Sequence[tuple[FrameJob, CountResult]], None, None]:
        """Count groups of frames of one kind, in order, each frame with its result."""

    def count_sources(
        self,
        sources: Iterable[Iterable[Frame]],
        to_job: Callable[[Frame], FrameJob],
        timeout: float | None,
        on_error: Callable[[SourceError], None] | None,
    ) -> Iterator[CountResult]:
        """Count several sources in rounds of one frame each; see `EdgeCounter.stream_many`."""
        with ExitStack() as stack:
            jobs = (each(to_job, frames) for frames in sources)
            readers = [stack.enter_context(ReadAhead(one, READ_AHEAD)) for one in jobs]
            groups = rounds(readers, self.largest_batch, timeout, on_error)
            feed = stack.enter_context(ReadAhead(groups, 1))
            yield from in_order(stack.enter_context(closing(self.count_groups(feed))))

    def close(self, after: Callable[[], None] | None = None) -> None:
        """Close the runners once their frames are counted, then call `after`."""
        self.runners.close(after)
