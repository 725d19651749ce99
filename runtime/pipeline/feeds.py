"""Sources as jobs, taken when the engine is free for them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from edgecount.errors import EdgeCountError, SourceError
from edgecount.runtime.pipeline.job import LateJob
from edgecount.runtime.sources.image import ImageSource
from edgecount.runtime.sources.live import LiveSource, SourceState
from edgecount.runtime.sources.prefetch import Ended, NotReady, ReadAhead, Reader, each

if TYPE_CHECKING:
    from edgecount.runtime.pipeline.job import FrameJob, Job, OnSize
    from edgecount.runtime.sources.base import Frame, Source
    from edgecount.runtime.sources.live import SourceHealth

ToJob: TypeAlias = "Callable[[Frame], FrameJob]"

_READ_AHEAD = 2  # frames of a source that are read before they are asked for
# Two frames of 4K take as much memory as one of 8K. That one, and photos that fill a small board
# by themselves, are decoded when they are asked for.
LARGE = 50_000_000  # bytes
# How long others wait for a live source's next picture: longer than it should take, and no more.
_FRAME_TIMES, _SHORTEST, _RATE_UNKNOWN = 3.0, 0.2, 1.0  # frame times, s, s


def read_ahead(frames: Iterable[Frame], to_job: ToJob) -> ReadAhead[FrameJob]:
    """Return a reader of frames that is two of them ahead, or none where they are large."""
    return ReadAhead(each(to_job, frames), _READ_AHEAD, is_large=is_large)


def late_job(source: ImageSource, to_job: ToJob) -> LateJob:
    """Return the job of an image file, which is decoded by the thread that counts it."""

    def read(on_size: OnSize) -> FrameJob:
        with _errors_of(source):
            frame = source.read(on_size)
        return to_job(frame)

    return LateJob(read)


class Listed(Reader["Job"]):
    """Jobs of an iterable, which is iterated by the thread that takes them."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = iter(jobs)
        self._closed = False

    def take(self, timeout: float | None = None) -> Job:
        """Return the next job, however long it takes; see `Reader.take`."""
        del timeout
        job = None if self._closed else next(self._jobs, None)
        if job is None:
            raise Ended
        return job

    def close(self) -> None:
        """Give no job any more."""
        self._closed = True


class SourceReader(Reader["Job"]):
    """The jobs of sources, one source after the other.

    Files and sources of a caller's own are read ahead by a thread. Pictures of a live source are
    taken from its own reader at the moment when they are asked for.

    Args:
        find: finds the sources; called when the first job is asked for.
        to_job: makes a job of a frame, in the thread that has read it.
        to_own: does so of a frame whose array may hold the next one when it is counted; its pixels
            are copied.
        late: whether image files are left to be read by those who count them.
    """

    def __init__(
        self,
        find: Callable[[], Iterable[Source]],
        to_job: ToJob,
        to_own: ToJob,
        *,
        late: bool = False,
    ) -> None:
        self._find, self._to_job, self._to_own, self._late = find, to_job, to_own, late
        self._sources: list[Source] | None = None
        self._readers: Iterator[Reader[Job]] = iter(())
        self._reader: Reader[Job] | None = None
        self._lock = threading.Lock()  # of the reader that is opened and of closing
        self._closed = False
        self._live: _LiveReader | None = None  # the last one that was opened

    def health(self) -> SourceHealth | None:
        """Return how the live source that is read, or was last, is doing; None: there was none."""
        return None if self._live is None else self._live.health()

    def open(self) -> None:
        """Find the sources, and open the first one; see `Reader.open`."""
        self._found()
        with suppress(Ended):
            self._open_next()

    def is_live(self) -> bool:
        """Return whether a live source is among the sources."""
        return any(isinstance(source, LiveSource) for source in self._found())

    @property
    def patience(self) -> float | None:
        """Seconds that others should wait for the next job; see `Reader.patience`."""
        reader = self._reader
        return None if reader is None else reader.patience

    def take(self, timeout: float | None = None) -> Job:
        """Return the next job; see `Reader.take`.

        Raises:
            SourceError: a source cannot be found or read.
        """
        while True:
            reader = self._reader or self._open_next()
            try:
                return reader.take(timeout)
            except Ended:
                reader.close()
                self._reader = None

    def close(self) -> None:
        """Stop reading; see `Reader.close`."""
        with self._lock:
            self._closed, reader = True, self._reader
        if reader is not None:
            reader.close()

    def _found(self) -> list[Source]:
        if self._sources is None:
            self._sources = list(self._find())
            self._readers = self._open_each(self._sources)
        return self._sources

    def _open_next(self) -> Reader[Job]:
        self._found()
        with self._lock:
            self._reader = None if self._closed else next(self._readers, None)
            if self._reader is None:
                raise Ended
            return self._reader

    def _open_each(self, sources: Iterable[Source]) -> Iterator[Reader[Job]]:
        # Neighbours share a thread: of a folder's pictures each is a source by itself.
        for way, group in itertools.groupby(sources, self._way):
            if way == "live":
                for source in cast("Iterator[LiveSource]", group):
                    self._live = _LiveReader(source, self._to_job, self.on_change)
                    yield self._live
            elif way == "late":
                images = cast("list[ImageSource]", list(group))
                yield Listed(late_job(image, self._to_job) for image in images)
            else:
                to_job = self._to_own if way == "foreign" else self._to_job
                reader = read_ahead(_frames_of(list(group)), to_job)
                reader.on_change = self.on_change
                yield cast("Reader[Job]", reader)

    def _way(self, source: Source) -> Literal["live", "late", "ahead", "foreign"]:
        """Return how a source is read."""
        if isinstance(source, LiveSource):
            return "live"
        # What a class of a caller's own reads is its own affair; it may fill one array for all.
        if self._late and type(source) is ImageSource:
            return "late"
        made_by = getattr(source.frames, "__module__", None) or ""
        return "ahead" if made_by.startswith("edgecount.") else "foreign"


class _LiveReader(Reader["FrameJob"]):
    """The jobs of a live source, made of its pictures by the thread that takes them."""

    def __init__(self, source: LiveSource, to_job: ToJob, on_change: Callable[[], None]) -> None:
        self._source, self._to_job = source, to_job
        self._frames = source.reader()
        self._frames.on_change = on_change

    def health(self) -> SourceHealth:
        """Return how the camera is doing by this reader: the source may have others, too."""
        return self._frames.health()

    @property
    def patience(self) -> float | None:
        """Nothing while the camera is away, else a little longer than its picture should take."""
        health = self.health()
        if health.state is not SourceState.LIVE:
            return 0.0
        return max(_FRAME_TIMES / health.fps, _SHORTEST) if health.fps else _RATE_UNKNOWN

    def take(self, timeout: float | None = None) -> FrameJob:
        with _errors_of(self._source):
            frame = self._frames.take(timeout)
        return self._to_job(frame)

    def close(self) -> None:
        self._frames.close()


def is_large(job: FrameJob) -> bool:
    """Return whether a job's frame takes so much memory that few of them should be there."""
    return job.frame.on_host and job.frame.pixels.nbytes > LARGE


def _frames_of(sources: Iterable[Source]) -> Iterator[Frame]:
    for source in sources:
        with _errors_of(source):
            yield from source.frames()


@contextmanager
def _errors_of(source: Source) -> Iterator[None]:
    """Make what a codec raises, or memory that ends, an error that names the source."""
    try:
        yield
    except (EdgeCountError, NotReady, Ended):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise SourceError(f"{source.name}: {reason}") from error
