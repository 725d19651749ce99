"""The pipeline of an engine on a GPU, which works on the next frames while some are counted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from edgecount.runtime.pipeline.base import READ_AHEAD, Pipeline
from edgecount.runtime.pipeline.gpu_runner import GpuRunner
from edgecount.runtime.pipeline.schedule import Listed, batches, overlap
from edgecount.runtime.sources.prefetch import ReadAhead, each

if TYPE_CHECKING:
    from edgecount.result import CountResult
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob
    from edgecount.runtime.sources.base import Frame

__all__ = ["GpuPipeline"]


class GpuPipeline(Pipeline[GpuRunner]):
    """Frames of one kind in batches, and two batches on their way at once.

    Args:
        backend: the engine.
        settings: the model and the options.
    """

    def __init__(self, backend: DeviceBackend, settings: CountSettings) -> None:
        super().__init__(lambda: GpuRunner(backend, settings))
        self._backend = backend

    @property
    def largest_batch(self) -> int:
        """Most frames that the engine takes in one run."""
        return self._backend.batches[1]

    def count(self, job: FrameJob) -> CountResult:
        """Count one frame."""
        with self.runners.acquire() as runner:
            pending = runner.submit([job])
            return pending.result()[0]

    def count_batch(self, jobs: Iterable[FrameJob]) -> list[CountResult]:
        """Count several frames, those of one kind that follow each other together."""
        groups = overlap(Listed(batches(jobs, self.largest_batch)), self.runners)
        return [result for group in groups for _, result in group]

    def count_stream(
        self, frames: Iterable[Frame], to_job: Callable[[Frame], FrameJob]
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames as they come, read ahead by a thread that takes them over as well."""
        # Where frames are made, their library's stream is the current one: see `FrameIntake`.
        with ReadAhead(each(lambda frame: [to_job(frame)], frames), READ_AHEAD) as feed:
            for group in overlap(feed, self.runners):
                for job, result in group:
                    yield cast("Frame", job.origin), result

    def count_groups(
        self, feed: ReadAhead[list[FrameJob]]
    ) -> Generator[Sequence[tuple[FrameJob, CountResult]], None, None]:
        """Count a group while the next one is on its way to the GPU."""
        return overlap(feed, self.runners)
