"""Threads that each take a frame through the engine, side by side, and room for what they hold."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

from edgecount.runtime.pipeline.ending import is_ending

if TYPE_CHECKING:
    from typing_extensions import Self

Item = TypeVar("Item")
Done = TypeVar("Done")

_PATIENCE = 2.0  # s that an interrupt waits for the items in hand


class Lanes(Generic[Item, Done]):
    """Threads that work on items, begun in the order in which they came.

    A context manager: leaving it lets the items in hand end, and drops those that wait.

    Args:
        number: most threads, which are started as items come.
        work: called with each item, in one of the threads.
        on_done: called by any thread when an item is done; it must return at once.
    """

    def __init__(
        self, number: int, work: Callable[[Item], Done], on_done: Callable[[], None]
    ) -> None:
        self._number, self._work, self._on_done = number, work, on_done
        self._tasks: SimpleQueue[tuple[Future[Done], Item] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, item: Item) -> Future[Done]:
        """Queue an item; its future has what `work` returned or raised."""
        if len(self._threads) < self._number:
            # A daemon: what is in hand when the program ends is waited for, and not what is queued.
            thread = threading.Thread(target=self._run, name="edgecount-lane", daemon=True)
            thread.start()
            self._threads.append(thread)
        future: Future[Done] = Future()
        self._tasks.put((future, item))
        return future

    def close(self, longest: float | None = None) -> None:
        """Drop the items that wait, and wait for those in hand, for so many seconds at most."""
        while True:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        # A generator that holds the lanes may be collected by one of them, or when threads are
        # not run any more.
        if not sys.is_finalizing() and not is_ending():
            end = None if longest is None else time.monotonic() + longest
            for thread in self._threads:
                if thread is not threading.current_thread():
                    thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Whoever interrupts the program is not to wait for a disk or a server that does not answer.
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(_PATIENCE if interrupted else None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, item = task
            if future.set_running_or_notify_cancel():
                self._do(future, item)
            del task, future, item  # not kept while the next one is waited for

    def _do(self, future: Future[Done], item: Item) -> None:
        try:
            done = self._work(item)
        except BaseException as error:  # noqa: BLE001 (raised where its result is asked for)
            future.set_exception(error)
        else:
            future.set_result(done)
        self._on_done()


class Room:
    """Room that those who work side by side share.

    A large piece is let in when it has all of the room to itself. Pieces are let in in the order in
    which they came, and who is inside waits for nobody outside, so that everyone is let in some
    day.

    Args:
        total: size of the room.
        share: size above which a piece is large.
    """

    def __init__(self, total: float, share: float) -> None:
        self._total, self._share = total, share
        self._used = 0.0
        self._waiting: deque[object] = deque()  # a large piece is not passed for ever by small ones
        self._changed = threading.Condition()

    def has_for_two(self, size: float) -> bool:
        """Return whether pieces of a size may be in the room side by side."""
        return size <= self._share

    @contextmanager
    def hold(self, size: float) -> Iterator[None]:
        """Wait until there is room for a piece, and hold it for the length of a with block."""
        needed = self._total if size > self._share else size
        turn = object()

        def may_enter() -> bool:
            fits = not self._used or self._used + needed <= self._total
            return fits and self._waiting[0] is turn

        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(may_enter)
                self._used += needed
            finally:  # also of one whose wait was interrupted
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used = max(0.0, self._used - needed)
                self._changed.notify_all()
