"""Counting a shard of an archive."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Container
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from edgecount._options import MAX_PIXELS
from edgecount.archive.feed import Feed
from edgecount.archive.rows import Row, make_row, row_name
from edgecount.errors import InputError

if TYPE_CHECKING:
    from edgecount.archive.images import Images
    from edgecount.counter import EdgeCounter
    from edgecount.result import CountResult

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
        on_row: called with each row that was kept, and how far the run is; by one thread at a time.
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
        self._lock = threading.Lock()
        self._progress = Progress()
        self._failures = 0  # of the engine, in a row

    def count(self, work: Work) -> Progress:
        """Count the images; each has a row then, unless the run was stopped.

        Raises:
            SourceError: the archive went away.
            OutputError: rows cannot be written.
            EdgeCountError: the engine fails at whatever it is given.
        """
        progress = self._progress = Progress(work.before, len(work.names))
        started = time.monotonic()
        names = itertools.takewhile(lambda _: not self._stopped(), work.names)
        with Feed(work.images, names, self._keep, **self._reading) as feed:
            while self._count_on(feed):
                pass
        progress.seconds = time.monotonic() - started
        progress.stopped = progress.left > 0
        return progress

    def _count_on(self, feed: Feed) -> bool:
        """Count until the end, or until the engine fails at a frame: then return True."""
        with closing(self._counter.stream(feed)) as results:
            while True:
                try:
                    result = next(results)
                except StopIteration:
                    return False
                except Exception as error:  # noqa: BLE001 (engines raise anything)
                    self._skip(feed, error)
                    return True
                self._failures = 0
                self._keep(feed.settle(cast("int", result.frame)), result)

    def _skip(self, feed: Feed, error: Exception) -> None:
        """Keep the error as the row of the frame that is due, unless it is an error of all."""
        if feed.failure is not None:
            raise feed.failure
        index = feed.first_unsettled()
        if index is None:
            raise error
        if not isinstance(error, InputError):
            self._failures += 1
            if self._failures == _MOST_IN_A_ROW or not self._engine_works():
                raise error
        self._keep(feed.settle(index), error)

    def _engine_works(self) -> bool:
        """Return whether a small blank frame can be counted, after another one could not."""
        try:
            self._counter.count(np.zeros((64, 64, 3), np.uint8))
        except Exception:  # noqa: BLE001 (the first error is the one to tell)
            return False
        return True

    def _keep(self, name: str, outcome: CountResult | Exception) -> None:
        row = make_row(name, outcome)
        with self._lock:  # images that cannot be read are told by the thread that reads
            self._store.add(row)
            if row["error"] is None:
                self._progress.counted += 1
            else:
                self._progress.failed += 1
            self._on_row(row, self._progress)
