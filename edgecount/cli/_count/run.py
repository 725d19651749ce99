"""The loop of `count`: sources through the counter to the report and the overlays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecount.cli._count.report import Report, Tally
from edgecount.cli._count.saving import ImageSaver, NoSaver, Saver, VideoSaver
from edgecount.cli._shell.progress import Progress, echo
from edgecount.cli._shell.signals import Stop, stop_on_interrupt
from edgecount.counter import EdgeCounter
from edgecount.errors import InputError, OutputError
from edgecount.regions import Region
from edgecount.runtime.sources.base import Frame, Source


@dataclass(frozen=True)
class Job:
    """A source and where its overlay goes, if anywhere."""

    source: Source
    output: Path | None = None


@dataclass(frozen=True)
class Pace:
    """Which frames of a video are counted.

    Attributes:
        every: one frame of so many.
        at_most: counted frames per video; None: all.
    """

    every: int = 1
    at_most: int | None = None

    def pick(self, source: Source) -> Iterator[Frame]:
        """The frames to count; an image has one in any case."""
        frames = source.frames()
        if not source.is_video:
            return frames
        last = None if self.at_most is None else self.every * (self.at_most - 1) + 1
        return itertools.islice(frames, 0, last, self.every)

    def length(self, source: Source) -> int | None:
        """How many frames `pick` gives, None if the source does not say."""
        known = [] if self.at_most is None else [self.at_most]
        if source.length is not None:
            known.append(-(-source.length // self.every))
        return min(known) if known else None


@dataclass(frozen=True)
class Outcome:
    """How a run ended: sources that failed, and whether the user stopped it."""

    failed: int
    stopped: bool


@dataclass(frozen=True)
class Run:
    """Everything that counting a list of sources needs.

    Attributes:
        counter: counts a frame.
        report: takes the results.
        pace: which frames of a video.
        regions: drawn into the overlays.
        bars: whether to show progress bars.
    """

    counter: EdgeCounter
    report: Report
    pace: Pace
    regions: Sequence[Region] = ()
    bars: bool = True

    def all(self, jobs: Sequence[Job]) -> Outcome:
        """Count every source; one that fails is reported and the others go on."""
        failed = 0
        label, shown = "counting", self.bars and len(jobs) > 1
        with stop_on_interrupt() as stop, Progress(len(jobs), "file", label, shown) as bar:
            for job in jobs:
                if stop.requested:
                    break
                failed += not self._one(job, stop)
                bar.step()
        return Outcome(failed, stop.requested)

    def _one(self, job: Job, stop: Stop) -> bool:
        tally = Tally()
        try:
            self._frames(job, tally, stop)
        except (InputError, OutputError) as error:
            echo(f"edgecount: error: {error}", err=True)
            return False
        finally:
            if tally.frames:
                self.report.source(job.source, tally)
        return True

    def _frames(self, job: Job, tally: Tally, stop: Stop) -> None:
        source = job.source
        shown = self.bars and source.is_video
        bar = Progress(self.pace.length(source), "frame", Path(source.name).name, shown)
        with self._saver(job) as saver, bar:
            for frame, result in self.counter.count_frames(self.pace.pick(source)):
                saver.add(frame.image, result)
                tally.add(result)
                self.report.frame(result)
                bar.step(f"{result.count:.1f} people")
                if stop.requested:
                    break

    def _saver(self, job: Job) -> Saver:
        if job.output is None:
            return NoSaver()
        if not job.source.is_video:
            return ImageSaver(job.output, self.regions)
        fps = job.source.fps
        return VideoSaver(job.output, fps / self.pace.every if fps else None, self.regions)
