"""Jobs of what callers give to be counted: arrays, pictures, paths and frames of sources."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._given import check_frame, check_path
from edgecount.runtime.frames.checked import own_image
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.pipeline.feeds import SourceReader
from edgecount.runtime.pipeline.job import FrameJob, LateJob
from edgecount.runtime.sources import Frame, open_sources
from edgecount.runtime.sources.image import ImageSource

if TYPE_CHECKING:
    from edgecount.runtime.frames.intake import FrameIntake
    from edgecount.runtime.pipeline.job import Job, OnSize
    from edgecount.runtime.sources import LiveOptions, Source
    from edgecount.runtime.sources.open import SourceLike


class Jobs:
    """A maker of jobs; several threads may use it at once.

    Args:
        intake: takes callers' frames over.
        reading: options of `read_image`.
        late: whether files may be read by those who count them.
    """

    def __init__(self, intake: FrameIntake, reading: Mapping[str, Any], *, late: bool) -> None:
        self._intake, self._reading, self._late = intake, reading, late

    def of(self, frame: Any) -> FrameJob:
        """Return the job of what `EdgeCounter.count` takes, or of an `ImageSource`."""
        if isinstance(frame, ImageSource):
            return self.of_source(frame.read())
        if isinstance(frame, (str, os.PathLike)):
            check_path(frame)
            return self._of_file(frame)
        return self._job(frame, None)

    def of_source(self, frame: Frame) -> FrameJob:
        """Return the job of a source's frame."""
        check_frame(frame)
        return self._job(frame.image, frame)

    def of_passing(self, frame: Frame) -> FrameJob:
        """Return the job of a frame whose array may hold the next one when it is counted.

        The frame that goes with its result is a copy, too: whoever draws on it, or hides heads in
        it, has the pixels that were counted.
        """
        check_frame(frame)
        image = own_image(frame.image)
        if image is frame.image:
            return _copied(self.of_source(frame))
        twin = copy.copy(frame)
        object.__setattr__(twin, "image", image)  # which is frozen
        return self.of_source(twin)

    def reader(
        self, source: SourceLike | Source, live: LiveOptions | None, *, late: bool
    ) -> SourceReader:
        """Return a reader of a source's jobs, of which those of image files may be late."""
        find = partial(open_sources, source, live=live, **self._reading)
        return SourceReader(find, self.of_source, self.of_passing, late=late and self._late)

    def of_several(self, frames: Iterable[Any]) -> Iterator[Job]:
        """Yield the jobs of several frames; those of files are late, if jobs may be."""
        passing = _are_passing(frames)
        for frame in frames:
            yield self._of_one(frame, passing=passing)

    def _of_one(self, frame: Any, *, passing: bool) -> Job:
        is_file = isinstance(frame, (str, os.PathLike, ImageSource))
        if not is_file and passing:
            return _copied(self.of(frame))
        if not is_file or not self._late:
            return self.of(frame)
        if isinstance(frame, ImageSource):
            return LateJob(lambda on_size: self.of_source(frame.read(on_size)))
        check_path(frame)
        return LateJob(partial(self._of_file, frame))

    def of_all(
        self, frames: Iterable[Any], until: Callable[[], bool], *, keep: bool
    ) -> Iterator[Job]:
        """Yield the jobs of frames, or of one that is wrong a job that fails, until that is true.

        Jobs whose frames are to be kept are not late.
        """
        passing = _are_passing(frames)
        for frame in frames:
            if until():
                return
            yield self._of_each(frame, keep=keep, passing=passing)

    def _of_each(self, frame: Any, *, keep: bool, passing: bool) -> Job:
        try:
            if callable(frame):
                frame, passing = frame(), True
            is_kept = keep and isinstance(frame, (str, os.PathLike, ImageSource))
            return self.of(frame) if is_kept else self._of_one(frame, passing=passing)
        except Exception as error:  # noqa: BLE001 (codecs raise anything)
            return LateJob(partial(_fail, error))

    def _job(self, image: Any, origin: Frame | None) -> FrameJob:
        frame = self._intake.take(image)
        return FrameJob(frame, origin, gpu=self._intake.gpu_for(frame))

    def _of_file(self, path: str | os.PathLike[str], on_size: OnSize | None = None) -> FrameJob:
        image = read_image(path, on_size=on_size, **self._reading)
        return self.of_source(Frame(image, str(path), 0, 0.0))


def _are_passing(frames: Iterable[Any]) -> bool:
    """Return whether the frames are made one by one, and so perhaps each in the same array."""
    return not isinstance(frames, (list, tuple, np.ndarray))


def _copied(job: FrameJob) -> FrameJob:
    return dataclasses.replace(job, frame=job.frame.copied())


def _fail(error: Exception, _on_size: OnSize) -> FrameJob:
    raise error
