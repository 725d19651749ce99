"""Counting a shard of an archive."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgecount._options import MAX_PIXELS
from edgecount._works import engine_works
from edgecount.archive.feed import Feed
from edgecount.archive.rows import Row, make_row, row_name
from edgecount.errors import InputError, SourceError

if TYPE_CHECKING:
    from edgecount.archive.images import Images
    from edgecount.counter import EdgeCounter

_MOST_IN_A_ROW = 20  # frames that an engine may fail at before it is the engine's fault


@dataclass
class Progress:
    """How far a shard is.

    Attributes:
        before: images that had a row when the run began.
        total: images that had none.
        counted: images that were counted since.
        failed: images that could not be counted.
        seconds: time that this took; 0 until the end.
        stopped: whether the run was asked to stop before its end.
    """

    before: int = 0
    total: int = 0
    counted: int = 0
    failed: int = 0
    seconds: float = 0.0
    stopped: bool = False

    @property
    def left(self) -> int:
        """Images without a row."""
        return self.total - self.counted - self.failed


@dataclass(frozen=True)
class Work:
    """The images of a shard that have no row yet.

    Attributes:
        images: where the images are.
        names: their names.
        before: number of images of the shard that have a row.
    """

    images: Images
    names: Collection[str]
    before: int = 0

    @classmethod
    def of(cls, images: Images, names: Collection[str], done: Container[str]) -> Work:
        """Return what is left of a shard's images when some are done.

        Args:
            images: where the images are.
            names: names of all images of the shard, each once.
            done: names, as rows have them, of images that have a row.
        """
        left = [name for name in names if row_name(name) not in done]
        return cls(images, left, len(names) - len(left))


class RowSink(Protocol):
    """A keeper of rows, such as a `Store`."""

    def add(self, row: Row) -> None:
        """Keep a row; see `Store.add`."""


class ShardRun:
    """A run over the images of a shard.

    Args:
        counter: what counts; it is the caller's to close.
        store: where the rows are kept.
        on_row: called with each row that was kept, and how far the run is.
        stopped: asked before each image whether the run shall end.
        accept_damaged: see `edgecount.runtime.frames.images.read_image`, as for max_pixels.
        max_pixels: most pixels of an image.
    """

    def __init__(
        self,
        counter: EdgeCounter,
        store: RowSink,
        *,
        on_row: Callable[[Row, Progress], object] = lambda _row, _progress: None,
        stopped: Callable[[], bool] = lambda: False,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._counter, self._store = counter, store
        self._on_row, self._stopped = on_row, stopped
        self._reading: dict[str, Any] = {
            "accept_damaged": accept_damaged,
            "max_pixels": max_pixels,
        }
        self._failures = 0  # of the engine, in a row

    def count(self, work: Work) -> Progress:
        """Count the images; each has a row then, unless the run was stopped.

        Raises:
            SourceError: the archive went away.
            OutputError: rows cannot be written.
            EdgeCountError: the engine fails at whatever it is given.
        """
        progress = Progress(work.before, len(work.names))
        started = time.monotonic()
        with (
            Feed(work.images, work.names, **self._reading) as feed,
            closing(self._counter.count_each(feed, until=self._stopped)) as outcomes,
        ):
            for name, outcome in zip(work.names, outcomes, strict=False):  # a stop leaves some out
                self._check(work.images, outcome.error)
                row = make_row(name, outcome.error or outcome.result())
                self._store.add(row)
                if outcome.error is None:
                    progress.counted += 1
                else:
                    progress.failed += 1
                self._on_row(row, progress)
        progress.seconds = time.monotonic() - started
        progress.stopped = progress.left > 0
        return progress

    def _check(self, images: Images, error: Exception | None) -> None:
        """Raise what is no error of an image alone, but of the archive or the engine."""
        if isinstance(error, SourceError):
            images.check()
        elif error is not None and not isinstance(error, InputError):
            self._failures += 1
            if self._failures == _MOST_IN_A_ROW or not engine_works(self._counter.count):
                raise error
        elif error is None:
            self._failures = 0
