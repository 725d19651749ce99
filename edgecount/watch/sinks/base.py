"""Sinks, and the thread of each, so that a slow or dead one never blocks counting."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, replace

from edgecount.watch.readings import Event, Reading

_log = logging.getLogger(__name__)

_READINGS = 256  # that wait for a slow sink; the oldest are dropped for new ones
_PICTURES = 16  # readings of a sink that wants their pictures, of 6 MB each
_EVENTS = 4096
_FIRST, _LONGEST = 1.0, 60.0  # s between tries of a sink that fails
_FORMER = 60.0  # s that a sink waits for the one in whose place it is; that one may hang


@dataclass(frozen=True)
class Backlog:
    """The state of a sink that stores undelivered events itself.

    Attributes:
        waiting: events that wait in it.
        dropped: events that it has given up.
        error: why they wait; None if nothing is wrong.
    """

    waiting: int = 0
    dropped: int = 0
    error: str | None = None


class Sink(ABC):
    """A receiver of readings and events, used by one thread.

    Attributes:
        name: name in `SinkHealth` and in the log.
        wants_readings: whether it takes readings at all.
        wants_images: whether its readings come with their `image` and `result`.
    """

    name: str
    wants_readings: bool = True
    wants_images: bool = False

    def open(self) -> None:  # noqa: B027 (most have something to open, some do not)
        """Connect or open files; called again after a failure.

        Raises:
            EdgeCountError: it cannot be opened now; it is tried again later.
        """

    @abstractmethod
    def reading(self, reading: Reading) -> None:
        """Take a reading; after an exception it counts as dropped, and the sink is closed."""

    @abstractmethod
    def event(self, event: Event) -> None:
        """Take an event; after an exception it is retried when the sink is open again."""

    def idle(self) -> None:  # noqa: B027
        """Do periodic work; called about every second."""

    def close(self) -> None:  # noqa: B027
        """Write what is left and close; also called before `open` is called again."""

    def backlog(self) -> Backlog:
        """Return the state of the events that it stores itself; called from any thread."""
        return Backlog()


@dataclass(frozen=True)
class SinkHealth:
    """A snapshot of the health of a sink.

    Attributes:
        name: its name.
        is_open: whether it works.
        delivered: number of readings and events delivered.
        dropped: number of readings and events lost because it was slow or failed.
        waiting: number of readings and events waiting for it.
        error: why it fails, or why stored events are not accepted; None if nothing is wrong.
    """

    name: str
    is_open: bool
    delivered: int
    dropped: int
    waiting: int
    error: str | None


class SinkThread:
    """A thread that hands readings and events to a sink, with a queue that never blocks.

    When the sink is too slow, the oldest readings are dropped, and so are those that come while it
    fails. Events are kept and retried. Sinks get no pictures unless they want them: a queue of
    pictures would fill the memory.

    Args:
        sink: the sink; it is opened by the thread.
        former: the thread of the sink in whose place it is, which has been closed. That one may
            still write what it has got, into the same file, and is waited for, as is the one that
            it waits for itself. What it has not begun to take, and its numbers, are taken over.
    """

    def __init__(self, sink: Sink, former: SinkThread | None = None) -> None:
        self._sink = sink
        self._most = _PICTURES if sink.wants_images else _READINGS
        self._changed = threading.Condition()
        self._waiting: deque[Reading | Event] = deque()
        self._events = 0  # of those that wait
        self._taking: Reading | Event | None = None  # first of them, while the sink has it
        self._delivered = self._dropped = 0
        self._is_open = self._is_closing = False
        self._error: str | None = None
        self._told: str | None = None  # error that the log has
        self._unproven: str | None = None  # error since which nothing was taken
        self._delay = _FIRST
        self._left: list[Reading | Event] = []  # what it had not begun to take when it was closed
        self._formers: list[SinkThread] = []
        if former is not None:
            self._take_over(former)
        self._thread = threading.Thread(
            target=self._run, name=f"edgecount-sink {sink.name}", daemon=True
        )
        self._thread.start()

    def put(self, item: Reading | Event) -> None:
        """Hand on a reading or an event; never waits."""
        if isinstance(item, Reading):
            if not self._sink.wants_readings:
                return
            has_picture = item.image is not None or item.result is not None
            if has_picture and not self._sink.wants_images:
                item = replace(item, image=None, result=None)
        with self._changed:
            if self._is_closing:
                self._dropped += 1
                return
            self._waiting.append(item)
            self._events += isinstance(item, Event)
            if self._events > _EVENTS:
                self._drop_oldest(Event)
            elif len(self._waiting) - self._events > self._most:
                self._drop_oldest(Reading)
            self._changed.notify_all()

    def health(self) -> SinkHealth:
        """Return how the sink is doing."""
        backlog = self._sink.backlog()
        with self._changed:
            return SinkHealth(
                name=self._sink.name,
                is_open=self._is_open,
                delivered=self._delivered,
                dropped=self._dropped + backlog.dropped,
                waiting=len(self._waiting) + backlog.waiting,
                error=self._error or backlog.error,
            )

    def close(self, timeout: float = 5.0) -> None:
        """Let the sink take what waits, for so many seconds at most, and close it.

        What it has not taken by then counts as dropped, unless another thread takes it over.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            self._left = [item for item in self._waiting if item is not self._taking]
            self._dropped += len(self._waiting)
            self._waiting.clear()
            self._events = 0

    def is_alive(self) -> bool:
        """Return whether the sink may still be writing."""
        return self._thread.is_alive()

    def _drop_oldest(self, kind: type) -> None:
        """Drop the oldest of a kind that the sink has not yet."""
        place, oldest = next(
            (place, item)
            for place, item in enumerate(self._waiting)
            if isinstance(item, kind) and item is not self._taking
        )
        del self._waiting[place]
        self._events -= isinstance(oldest, Event)
        self._dropped += 1

    def _take_over(self, former: SinkThread) -> None:
        """Go on where another thread was closed."""
        with former._changed:
            left, former._left = former._left, []
            former._dropped -= len(left)
            self._delivered, self._dropped = former._delivered, former._dropped
        self._formers = [one for one in (former, *former._formers) if one.is_alive()]
        for item in left:
            self.put(item)

    def _wait_for_formers(self) -> bool:
        """Wait until no other one writes; returns False if this one is closed with nothing left."""
        end = time.monotonic() + _FORMER
        while any(one.is_alive() for one in self._formers) and time.monotonic() < end:
            with self._changed:
                if self._changed.wait_for(lambda: self._is_closing and not self._waiting, 0.05):
                    return False
        self._formers = [one for one in self._formers if one.is_alive()]
        return True

    def _run(self) -> None:
        if not self._wait_for_formers():
            return
        while True:
            try:
                self._sink.open()
                # Opening a file on a full disk is no sign yet that it works.
                self._note(is_open=True, error=self._unproven)
                self._serve()
            except Exception as error:  # noqa: BLE001 (sinks are libraries, which raise anything)
                self._fail(f"{error}" or type(error).__name__)
            self._close_sink()
            if not self._wait_before_next(self._delay):
                return
            self._delay = min(2 * self._delay, _LONGEST)

    def _fail(self, error: str) -> None:
        """Note why the sink failed; it is logged once, and not at each retry."""
        self._note(is_open=False, error=error)
        if error != self._told:
            self._told = error
            _log.warning("%s: %s; it is tried again", self._sink.name, error)

    def _succeed(self) -> None:
        """Note that the sink has taken something."""
        self._delay = _FIRST
        self._told = None
        if self._unproven is not None:
            self._unproven = None
            self._note(is_open=True)

    def _serve(self) -> None:
        """Hand on what comes, until the end."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing, 1.0)
                if not self._waiting and self._is_closing:
                    return
                item = self._taking = self._waiting[0] if self._waiting else None
            if item is None:
                self._sink.idle()
                continue
            self._deliver(item)

    def _deliver(self, item: Reading | Event) -> None:
        is_event = isinstance(item, Event)
        try:
            if isinstance(item, Event):
                self._sink.event(item)
            else:
                self._sink.reading(item)
        except Exception as error:
            self._unproven = f"{error}" or type(error).__name__
            if not is_event:
                self._take(item, delivered=False)
            raise
        self._succeed()
        self._take(item, delivered=True)

    def _take(self, item: Reading | Event, *, delivered: bool) -> None:
        """Take an item off the queue, unless that was closed meanwhile."""
        with self._changed:
            self._taking = None
            if not self._waiting:
                return
            self._waiting.popleft()
            self._events -= isinstance(item, Event)
            self._delivered += delivered
            self._dropped += not delivered

    def _note(self, *, is_open: bool, error: str | None = None) -> None:
        with self._changed:
            self._is_open, self._error = is_open, error

    def _close_sink(self) -> None:
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001
            if f"{error}" != self._told:
                _log.warning("%s was not closed properly: %s", self._sink.name, error)

    def _wait_before_next(self, delay: float) -> bool:
        """Wait before the sink is opened again; returns False if it is not to be."""
        with self._changed:
            self._taking = None
            if self._is_closing:
                return False
            # Readings that come meanwhile are worth nothing later.
            stale = [item for item in self._waiting if isinstance(item, Reading)]
            for item in stale:
                self._waiting.remove(item)
            self._dropped += len(stale)
            return not self._changed.wait_for(lambda: self._is_closing, delay)
