"""Streams that another thread may stop, and threads that take their results."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgecount._given import check_callback, check_live, check_sources
from edgecount._numbers import check_seconds
from edgecount.errors import EdgeCountError

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount._jobs import Jobs
    from edgecount.errors import SourceError
    from edgecount.result import CountResult
    from edgecount.runtime.pipeline.pipelines import Pipeline
    from edgecount.runtime.sources.base import Source
    from edgecount.runtime.sources.live import LiveOptions, SourceHealth
    from edgecount.runtime.sources.open import SourceLike

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stream(Generic[Item]):
    """Results that come as they are asked for.

    Attributes:
        results: the results; iterating it, and closing it, is for one thread at a time.
        stop: ends the results, from any thread: one that waits for a source's next frame is woken.
        health: returns how the live source that is read is doing; None: no live source is.
    """

    results: Generator[Item, None, None]
    stop: Callable[[], None]
    health: Callable[[], SourceHealth | None] = lambda: None


def stream_one(
    pipeline: Pipeline[Any], jobs: Jobs, source: SourceLike | Source, live: LiveOptions | None
) -> Stream[CountResult]:
    """Return the results of a source; see `EdgeCounter.stream`."""
    check_live(live)
    reader = jobs.reader(source, live, late=True)
    results = (result for _, result in pipeline.count_stream(reader))
    return Stream(results, reader.close, reader.health)


def stream_several(
    pipeline: Pipeline[Any],
    jobs: Jobs,
    sources: Sequence[SourceLike | Source],
    timeout: float | None,
    on_error: Callable[[SourceError], object] | None,
    live: LiveOptions | None,
) -> Stream[CountResult]:
    """Return the results of several sources side by side; see `EdgeCounter.stream_many`."""
    check_sources(sources)
    check_seconds("timeout", timeout, optional=True)
    check_live(live)
    check_callback("on_error", on_error, optional=True)
    # Not late: a picture that cannot be read ends its source before its next one is taken.
    readers = [jobs.reader(source, live, late=False) for source in sources]
    rounds = pipeline.rounds(readers, timeout, on_error)
    return Stream(pipeline.count_rounds(rounds), rounds.close)


class Watching:
    """A thread that calls back with each result of a source; made by `EdgeCounter.watch`.

    A context manager: leaving it stops the thread and waits for it.
    """

    def __init__(
        self,
        stream: Stream[CountResult],
        on_result: Callable[[CountResult], object],
        on_error: Callable[[BaseException], object] | None,
    ) -> None:
        self._stream, self._on_result, self._on_error = stream, on_result, on_error
        self._stopping = False
        self._error: BaseException | None = None
        # A daemon: a program that ends without `stop` must not wait for a camera for ever.
        self._thread = threading.Thread(target=self._run, name="edgecount-watching", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether further results may come."""
        return self._thread.is_alive()

    def health(self) -> SourceHealth | None:
        """Return how the live source that is read is doing; None: it is none, or not yet open."""
        return self._stream.health()

    def stop(self) -> None:
        """End it after the result that is being counted, from any thread, also from a callback."""
        self._stopping = True
        self._stream.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end: of the source, by an error or by `stop`.

        Args:
            timeout: seconds to wait; None: as long as it takes.

        Returns:
            Whether it has ended.

        Raises:
            BaseException: what ended it, if there was no `on_error` to take it: of the source
                (`SourceError`), of the engine (`BackendError`), or of a callback itself.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop()
        if kind is None:
            self.join()
        else:  # the error of the with block is the one to tell
            self._thread.join()

    def _run(self) -> None:
        try:
            with closing(self._stream.results) as results:
                for result in results:
                    if self._stopping:
                        return
                    self._on_result(result)
        except BaseException as error:  # noqa: BLE001 (told, or raised again by join)
            if not (self._stopping and isinstance(error, EdgeCountError)):
                self._tell(error)

    def _tell(self, error: BaseException) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error)
            except BaseException as second:  # noqa: BLE001
                error = second
            else:
                return
        self._error = error
        # Here too: a program may never ask for it by `join`.
        unexpected = None if isinstance(error, EdgeCountError) else error
        _log.error("a watched source is counted no further: %s", error, exc_info=unexpected)
