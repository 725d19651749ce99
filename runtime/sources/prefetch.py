"""Reading ahead: items are read by a thread before they are asked for."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

Item = TypeVar("Item")
Made = TypeVar("Made")

_POLL = 0.1  # seconds until a reader that waits for room looks whether it should stop


class NotReady(Exception):  # noqa: N818 (a state, not an error)
    """There is no item yet."""


class Ended(Exception):  # noqa: N818
    """There are no more items."""


class ReadAhead(Generic[Item]):
    """A thread that reads an iterable ahead. A context manager: leaving it stops the thread.

    What the iterable raises is raised where its items are taken, after those before it.

    Args:
        items: iterated in the thread, and closed there if it is a generator.
        depth: most items that wait to be taken.
        name: name of the thread.
    """

    def __init__(
        self, items: Iterable[Item], depth: int = 2, name: str = "edgecount-reader"
    ) -> None:
        self._items = items
        self._queue: queue.Queue[Item | BaseException] = queue.Queue(depth)
        self._last: BaseException | None = None
        self._stopped = threading.Event()
        # A daemon: a camera that hangs in its driver must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def take(self, timeout: float | None = None) -> Item:
        """Return the next item.

        Args:
            timeout: seconds to wait for the item; None: as long as it takes.

        Raises:
            NotReady: the item did not come in time.
            Ended: there are no more items.
        """
        # The end is in the queue once, and may be asked for again.
        if self._last is not None:
            raise self._last
        try:
            item = self._queue.get(timeout != 0, timeout)
        except queue.Empty:
            raise NotReady from None
        if isinstance(item, BaseException):
            self._last = item
            raise item
        return item

    def __iter__(self) -> Iterator[Item]:
        """Yield the items that are left, as they come."""
        while True:
            try:
                item = self.take()
            except Ended:
                return
            yield item

    def close(self) -> None:
        """Stop the thread, which may still wait for its next item, and drop what it has read.

        A thread that waits in `take` gets `Ended`.
        """
        self._stopped.set()
        # The queue is emptied for a thread that waits for room in it, and is given an end for one
        # that waits for an item. The reader may put its item in between: then once more.
        while True:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()
            try:
                self._queue.put_nowait(Ended())
            except queue.Full:  # of an item that the thread had read before it saw the event
                continue
            break
        # Not for long: a camera may take seconds for its next frame, which nobody wants.
        self._thread.join(_POLL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        last: BaseException = Ended()
        try:
            with _closed_in_the_end(iter(self._items)) as iterator:
                for item in iterator:
                    if not self._put(item):
                        return
        except BaseException as error:  # noqa: BLE001 (raised again where the items are taken)
            last = error
        self._put(last)

    def _put(self, item: Item | BaseException) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False


def each(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yield what is made of every item; unlike `map`, closing it closes the items as well."""
    with _closed_in_the_end(iter(items)) as iterator:
        for item in iterator:
            yield make(item)


@contextlib.contextmanager
def _closed_in_the_end(iterator: Iterator[Item]) -> Iterator[Iterator[Item]]:
    try:
        yield iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
