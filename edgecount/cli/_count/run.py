"""The loop of `count`: from the sources through the counter to stdout and the overlays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecount.cli._count.printing import Printer, Tally
from edgecount.cli._count.saving import ImageSaver, Saver, VideoSaver
from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.progress import Progress, echo
from edgecount.cli._shell.signals import Stop, stop_on_interrupt
from edgecount.counter import EdgeCounter
from edgecount.errors import InputError, OutputError
from edgecount.regions import Region
from edgecount.runtime.sources.base import Frame, Source


@dataclass(frozen=True)
class Task:
    """A source, and the file for its overlay if there is to be one."""

    source: Source
    output: Path | None = None


@dataclass(frozen=True)
class Pace:
    """A choice of the frames of a video that are counted.

    Attributes:
        every: N to count every N-th frame.
        at_most: limit of counted frames per video; None to count up to its end.
    """

    every: int = 1
    at_most: int | None = None

    def pick(self, source: Source) -> Iterator[Frame]:
        """Return the frames to count; the one of an image in any case."""
        frames = source.frames()
        if not source.is_video:
            return frames
        last = None if self.at_most is None else self.every * (self.at_most - 1) + 1
        return itertools.islice(frames, 0, last, self.every)

    def length(self, source: Source) -> int | None:
        """Return the number of frames that `pick` gives, None if the source has no length."""
        known = [] if self.at_most is None else [self.at_most]
        if source.length is not None:
            known.append(-(-source.length // self.every))
        return min(known) if known else None


@dataclass(frozen=True)
class Run:
    """A run over a list of sources, whose overlays show the regions."""

    counter: EdgeCounter
    printer: Printer
    pace: Pace
    regions: Sequence[Region] = ()
    bars: bool = True

    def all(self, tasks: Sequence[Task]) -> tuple[int, bool]:
        """Count every source; one that fails is reported and the others go on.

        Returns:
            The number of sources that failed, and whether the user stopped the run.
        """
        failed = 0
        label, shown = "counting", self.bars and len(tasks) > 1
        with stop_on_interrupt() as stop, Progress(len(tasks), "file", label, shown) as bar:
            for task in tasks:
                if stop.requested:
                    break
                failed += not self._one(task, stop)
                bar.step()
        return failed, stop.requested

    def _one(self, task: Task, stop: Stop) -> bool:
        tally = Tally()
        try:
            self._frames(task, tally, stop)
        except (InputError, OutputError) as error:
            echo(f"edgecount: error: {with_flags(str(error))}", err=True)
            return False
        finally:
            if tally.frames:
                self.printer.source(task.source, tally)
        return True

    def _frames(self, task: Task, tally: Tally, stop: Stop) -> None:
        source = task.source
        shown = self.bars and source.is_video
        bar = Progress(self.pace.length(source), "frame", Path(source.name).name, shown)
        with self._saver(task) as saver, bar:
            for frame, result in self.counter.count_frames(self.pace.pick(source)):
                saver.add(frame.image, result)
                tally.add(result)
                self.printer.frame(result)
                bar.step(note=f"{result.count:.1f} people")
                if stop.requested:
                    break

    def _saver(self, task: Task) -> Saver:
        if task.output is None:
            return Saver()
        if not task.source.is_video:
            return ImageSaver(task.output, self.regions)
        fps = task.source.fps
        return VideoSaver(task.output, fps / self.pace.every if fps else None, self.regions)
