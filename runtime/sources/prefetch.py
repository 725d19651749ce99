"""Reading ahead: items are read by a thread before they are asked for."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
Made = TypeVar("Made")

_LAST_JOIN = 0.1  # s that closing waits for the thread: a camera's next frame may take many
_EXIT_JOIN = 2.0  # s that the interpreter's end waits for all threads together


class NotReady(Exception):  # noqa: N818 (a state, not an error)
    """There is no item yet."""


class Ended(Exception):  # noqa: N818
    """There are no more items."""


class Reader(ABC, Generic[Item_co]):
    """Items that come in the background. A context manager: leaving it closes the reader.

    Attributes:
        on_change: called by any thread when there is something to take, or nothing any more; it
            must return at once and take nothing.
    """

    on_change: Callable[[], None] = staticmethod(lambda: None)

    def open(self) -> None:
        """Begin to read; by default that was done when the reader was made.

        Raises:
            SourceError: there is nothing to read.
        """

    @abstractmethod
    def take(self, timeout: float | None = None) -> Item_co:
        """Return the next item.

        Args:
            timeout: seconds to wait for the item; None: as long as it takes.

        Raises:
            NotReady: the item did not come in time.
            Ended: there are no more items.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop reading, from any thread. A thread that waits in `take` gets `Ended`."""

    @property
    def patience(self) -> float | None:
        """Seconds that others should wait for the next item; None: as long as it takes."""
        return None

    def is_live(self) -> bool:
        """Return whether items get old: they are taken when they are of use, and not before."""
        return False

    def __iter__(self) -> Iterator[Item_co]:
        """Yield the items that are left, as they come."""
        while True:
            try:
                item = self.take()
            except Ended:
                return
            yield item

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReadAhead(Reader[Item]):
    """A thread that reads an iterable ahead.

    What the iterable raises is raised where its items are taken, after those before it.

    Args:
        items: iterated in the thread, and closed there if it is a generator.
        depth: most items that wait to be taken.
        name: name of the thread.
        is_large: whether an item is so large that the one after it is read when it is asked for,
            and not before; None: none is.
    """

    def __init__(
        self,
        items: Iterable[Item],
        depth: int = 2,
        name: str = "edgecount-reader",
        is_large: Callable[[Item], bool] | None = None,
    ) -> None:
        self._items, self._depth = items, depth
        self._is_large = is_large or (lambda _: False)
        self._changed = threading.Condition()
        self._read: deque[Item] = deque()
        self._last: BaseException | None = None  # Ended, or what the iterable raised
        self._wanted = False  # somebody has asked for an item, and there was none
        self._stopped = False
        # A daemon: a camera that hangs in its driver must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        _running.add(self)
        self._thread.start()

    def take(self, timeout: float | None = None) -> Item:
        """Return the next item; see `Reader.take`."""
        with self._changed:
            if not self._read:
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._read or self._last is not None, timeout)
            if self._read:
                item = self._read.popleft()
                self._changed.notify_all()
                return item
            if self._last is None:
                raise NotReady
            # The end may be asked for again.
            raise self._last

    def close(self) -> None:
        """Stop the thread, which may still wait for its next item, and drop what it has read."""
        self.stop()
        with self._changed:
            self._read.clear()
            self._last = Ended()
            self._changed.notify_all()
        self.on_change()
        if self._thread is not threading.current_thread():
            self._thread.join(_LAST_JOIN)

    def stop(self) -> None:
        """Let the thread end after the item that it reads, without waiting for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, seconds at most."""
        if self._thread.is_alive():  # not yet, or never, where it could not be started
            self._thread.join(timeout)

    def _run(self) -> None:
        last: BaseException = Ended()
        try:
            with closed_in_the_end(iter(self._items)) as iterator:
                while self._wait_for_room():
                    try:
                        item = next(iterator)
                    except StopIteration:
                        break
                    self._put(item)
        except BaseException as error:  # noqa: BLE001 (raised again where the items are taken)
            last = error
        with self._changed:
            if not self._stopped:
                self._last = last
                self._changed.notify_all()
        self.on_change()

    def _wait_for_room(self) -> bool:
        """Wait until an item more may be read; return False if no more shall be."""

        def room() -> bool:
            return self._stopped or len(self._read) < self._depth

        with self._changed:
            self._changed.wait_for(room)
            return not self._stopped

    def _put(self, item: Item) -> None:
        large = self._is_large(item)
        with self._changed:
            if self._stopped:
                return
            self._wanted = False
            self._read.append(item)
            self._changed.notify_all()
        self.on_change()
        del item  # which would be kept while the next one is waited for
        if large:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._wanted)


_running: weakref.WeakSet[ReadAhead[Any]] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Stop the threads before the interpreter ends.

    It would end a daemon thread inside of a decoder, in a way that C++ answers with an abort.
    """
    readers = list(_running)
    for reader in readers:
        reader.stop()
    deadline = time.monotonic() + _EXIT_JOIN
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))


if hasattr(os, "register_at_fork"):
    # A child has none of the threads, and perhaps a lock that one of them held.
    os.register_at_fork(after_in_child=_running.clear)


def each(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Yield what is made of every item; unlike `map`, closing it closes the items as well."""
    with closed_in_the_end(iter(items)) as iterator:
        for item in iterator:
            yield make(item)


@contextlib.contextmanager
def closed_in_the_end(iterator: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Close an iterator, if it is one that can be closed, as a generator is, when all is done."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
