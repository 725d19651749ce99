"""Heads that a model finds, counted by a thread ahead of whoever looks at the pictures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecount.errors import EdgeCountError

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.label.pictures import File, Pictures

_log = logging.getLogger(__name__)

LOWEST = 0.1  # score of the weakest heads that are offered
MOST = 20_000  # heads that are offered of a picture
_KEPT = 2000  # pictures whose heads are kept


@dataclass(frozen=True)
class Proposal:
    """Heads that a model found in a picture.

    Attributes:
        heads: x and y in pixels, and the score, the highest first.
        problem: why there are none; None: they were counted.
    """

    heads: tuple[tuple[float, float, float], ...] = ()
    problem: str | None = None


class Proposer:
    """Counts pictures in a thread, those first that were asked for last.

    Args:
        pictures: the pictures.
        open_counter: opens the counter, with the threshold that it is given.
        model: the model's name, to show.

    Raises:
        EdgeCountError: the counter cannot be opened.
    """

    def __init__(
        self, pictures: Pictures, open_counter: Callable[[float], EdgeCounter], model: str
    ) -> None:
        self._pictures, self.model = pictures, model
        self._counter = open_counter(LOWEST)
        self.threshold = max(self._counter.manifest.postprocess.threshold, LOWEST)
        self._changed = threading.Condition()
        self._wanted: list[str] = []
        self._found: dict[str, tuple[File | None, Proposal]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="edgecount-proposals", daemon=True)
        self._thread.start()

    def want(self, names: Sequence[str]) -> None:
        """Count these pictures next, in this order, in place of those that were wanted before.

        If the first could not be counted before, it is tried again: it may have been half copied.
        """
        with self._changed:
            first = self._known(names[0]) if names else None
            if first is not None and first.problem:
                del self._found[names[0]]
            self._wanted = [name for name in names if self._known(name) is None]
            self._changed.notify_all()

    def get(self, name: str, timeout: float = 0.0) -> Proposal | None:
        """Return the heads of a picture, waiting for some seconds; None: not counted yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._known(name) is not None or self._closed, timeout)
            return self._known(name)

    def close(self) -> None:
        """End the thread, after the picture in hand, and close the counter."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._counter.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closed)
                if self._closed:
                    return
                name = self._wanted.pop(0)
            file = self._file(name)  # before: it may be another one once it is counted
            found = self._count(name)
            with self._changed:
                self._found[name] = file, found
                if len(self._found) > _KEPT:
                    del self._found[next(iter(self._found))]
                self._changed.notify_all()

    def _known(self, name: str) -> Proposal | None:
        """Return the heads of the file that has a picture's name now; None: it was not counted."""
        file, found = self._found.get(name, (None, None))
        return found if file == self._file(name) else None

    def _file(self, name: str) -> File | None:
        try:
            return self._pictures.file(name)
        except EdgeCountError:
            return None  # it is gone

    def _count(self, name: str) -> Proposal:
        try:
            result = self._counter.count(self._pictures.image(name))
        except EdgeCountError as error:
            return Proposal(problem=str(error))
        except Exception as error:  # noqa: BLE001 (an engine's; the page goes on without it)
            _log.warning("%s: no proposal: %s", name, error)
            return Proposal(problem=f"the model failed: {type(error).__name__}")
        heads = sorted(result.points.tolist(), key=lambda head: -head[2])[:MOST]
        return Proposal(tuple((round(x, 2), round(y, 2), round(score, 3)) for x, y, score in heads))
