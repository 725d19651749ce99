"""The loop of `count`: from the sources through the counter to stdout and the overlays."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgecount._works import engine_works
from edgecount.cli._count.live import live_frames
from edgecount.cli._count.measures import Meter
from edgecount.cli._count.printing import Printer
from edgecount.cli._count.saving import ImageSaver, Look, Saver, VideoSaver
from edgecount.cli._count.status import Status
from edgecount.cli._count.tally import Tally
from edgecount.cli._shell.failures import report_failure
from edgecount.cli._shell.output import RunOutputError
from edgecount.cli._shell.progress import Progress
from edgecount.cli._shell.signals import Stop, stop_on_interrupt
from edgecount.counter import EdgeCounter
from edgecount.errors import BackendError, OutputError
from edgecount.result import CountResult
from edgecount.runtime.frames.pictures import bgr_picture
from edgecount.runtime.pipeline.job import Outcome
from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.image import ImageSource
from edgecount.runtime.sources.live import LiveSource


@dataclass(frozen=True)
class Task:
    """A source, and the file for its overlay if there is to be one."""

    source: Source
    output: Path | None = None

    @property
    def is_image(self) -> bool:
        """Whether the source is an image file."""
        return isinstance(self.source, ImageSource)


@dataclass(frozen=True)
class Pace:
    """A choice of the frames of a video that are counted.

    Attributes:
        every: N to count every N-th frame.
        at_most: limit of counted frames per video; None to count up to its end.
    """

    every: int = 1
    at_most: int | None = None

    def of(self, source: Source) -> Source:
        """Return the source of the frames to count; the one of an image in any case."""
        whole = not source.is_video or (self.every == 1 and self.at_most is None)
        return source if whole else _Picked(source, self)

    def pick(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Return the frames of a video to count, and read none after the last of them."""
        last = None if self.at_most is None else self.every * (self.at_most - 1) + 1
        # islice takes no larger numbers, and no video is longer.
        last = None if last is None else min(last, sys.maxsize)
        return itertools.islice(frames, 0, last, min(self.every, sys.maxsize))

    def length(self, source: Source) -> int | None:
        """Return the number of frames that `pick` gives, None if the source has no length."""
        known = [] if self.at_most is None else [self.at_most]
        if source.length is not None:
            known.append(-(-source.length // self.every))
        return min(known) if known else None


class _Picked(Source):
    """The frames of a video that are counted."""

    is_video = True

    def __init__(self, source: Source, pace: Pace) -> None:
        self.name, self._source, self._pace = source.name, source, pace

    @property
    def length(self) -> int | None:
        return self._pace.length(self._source)

    @property
    def fps(self) -> float | None:
        fps = self._source.fps
        return fps / self._pace.every if fps else None

    def frames(self) -> Iterator[Frame]:
        return self._pace.pick(self._source.frames())


@dataclass
class Run:
    """A run over a list of sources.

    Attributes:
        counter: what counts, in the regions of `look` and on the ground.
        printers: receivers of the results.
        pace: which frames are counted.
        look: what overlays show, and what is measured beside the counts.
        bars: whether progress is shown.
        journal: whether a camera has a line a minute where there is no terminal.
        failed: number of sources that failed.
        stopped: whether the user stopped the run.
        written: overlays that were written.
    """

    counter: EdgeCounter
    printers: Sequence[Printer]
    pace: Pace
    look: Look = field(default_factory=Look)
    bars: bool = True
    journal: bool = False
    failed: int = 0
    stopped: bool = False
    written: list[Path] = field(default_factory=list)

    def all(self, tasks: Sequence[Task]) -> None:
        """Count every source; one that fails is reported and the others go on."""
        label, shown = "counting", self.bars and len(tasks) > 1
        with (
            stop_on_interrupt() as stop,
            Progress(len(tasks), "file", label, shown) as bar,
            closing(self._begun(tasks, stop)) as begun,
        ):
            for task, outcome in begun:
                self._one(task, stop, outcome)
                bar.step()
        self.stopped = stop.requested

    def _begun(
        self, tasks: Sequence[Task], stop: Stop
    ) -> Generator[tuple[Task, Outcome | None], None, None]:
        """Yield the tasks until a stop, of images with what came of them."""
        for are_images, group in itertools.groupby(tasks, lambda task: task.is_image):
            if are_images:
                yield from self._images(list(group), stop)
                continue
            for task in group:
                if stop.requested:
                    return
                yield task, None

    def _images(self, tasks: Sequence[Task], stop: Stop) -> Iterator[tuple[Task, Outcome]]:
        """Yield images with what came of them: several are counted at once."""
        sources = [task.source for task in tasks]
        drawn = any(task.output is not None for task in tasks)
        counted = self.counter.count_each(sources, keep_frames=drawn, until=lambda: stop.requested)
        with closing(counted):
            yield from zip(tasks, counted, strict=False)  # a stop leaves some out

    def _one(self, task: Task, stop: Stop, outcome: Outcome | None) -> None:
        """Count one source, of an image that was counted with what came of it."""
        tally, saved = Tally(), True
        try:
            self._frames(task, tally, stop, outcome)
        except (BrokenPipeError, RunOutputError):
            raise  # what takes no more of this source takes none of the next
        except Exception as error:  # codecs and engines raise anything
            if isinstance(error, BackendError) and not engine_works(self.counter.count):
                raise
            report_failure(task.source.name, error)
            self.failed += 1
            saved = not isinstance(error, OutputError)
        finally:
            if tally.frames:
                for printer in self.printers:
                    printer.source(task.source, tally)
        if saved and tally.frames and task.output is not None and task.output.exists():
            self.written.append(task.output)

    def _frames(self, task: Task, tally: Tally, stop: Stop, outcome: Outcome | None) -> None:
        source, look = task.source, self.look
        meter = Meter(look.asked, self.counter.manifest, source.is_video)
        with ExitStack() as stack:
            saver = stack.enter_context(self._saver(task))
            counted = (
                [(outcome.frame, outcome.result())]
                if outcome is not None
                else self._counted(source, tally, stop, stack)
            )
            # Converting a picture, or bringing it from a GPU, may take longer than counting it.
            is_looked_at = task.output is not None or bool(look.asked.lines)
            for frame, found in counted:
                image = None
                if frame is not None and is_looked_at:
                    image = bgr_picture(frame.image)
                result, measured = meter.update(found, image, look.regions)
                if isinstance(source, LiveSource):
                    measured = replace(measured, health=source.health())
                tally.add(result, measured)
                for printer in self.printers:
                    printer.frame(result, measured)
                if image is not None:
                    saver.add(image, result, measured)
                if stop.requested:
                    break

    def _counted(
        self, source: Source, tally: Tally, stop: Stop, stack: ExitStack
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Yield the frames of a source with their results, and show how far it is."""
        if isinstance(source, LiveSource):
            yield from self._live(source, tally, stop, stack)
            return
        shown = self.bars and source.is_video
        name = Path(source.name).name
        bar = stack.enter_context(Progress(self.pace.length(source), "frame", name, shown))
        for frame, result in self.counter.count_frames(self.pace.of(source)):
            yield frame, result
            bar.step(note=f"{result.count:.1f} people")

    def _live(
        self, source: LiveSource, tally: Tally, stop: Stop, stack: ExitStack
    ) -> Iterator[tuple[Frame, CountResult]]:
        """Yield the pictures of a camera, each taken when the engine is free for it."""
        status = Status(source, on_terminal=self.bars, in_logs=self.bars and self.journal)
        stack.enter_context(status)
        stack.callback(lambda: setattr(tally, "health", source.health()))
        frames = stack.enter_context(
            closing(live_frames(source, self.pace.every, stop, status.refresh))
        )
        for frame in itertools.islice(frames, self.pace.at_most):
            result = self.counter.count(frame.image)
            result = replace(
                result,
                source=frame.source,
                frame=frame.index,
                time=frame.time,
                captured=frame.captured,
                media_time=frame.media_time,
            )
            yield frame, result
            status.counted(result, tally.measured)

    def _saver(self, task: Task) -> Saver:
        if task.output is None:
            return Saver()
        if not task.source.is_video:
            return ImageSaver(task.output, self.look)
        fps = None if isinstance(task.source, LiveSource) else task.source.fps
        return VideoSaver(task.output, fps / self.pace.every if fps else None, self.look)
