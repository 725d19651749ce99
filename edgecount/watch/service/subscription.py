"""Readings and events for receivers that poll, such as an open page."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from edgecount.watch.readings import Event, Reading

_EVENTS = 4096  # that wait for somebody who does not look; the oldest are dropped


class Subscription:
    """The newest reading of each camera, and all events; it never blocks the service.

    Args:
        end: called when it is closed.

    Attributes:
        dropped: events that were dropped because nobody took them.
    """

    def __init__(self, end: Callable[[Subscription], None]) -> None:
        self.dropped = 0
        self._end = end
        self._changed = threading.Condition()
        self._readings: dict[str, Reading] = {}
        self._events: deque[Event] = deque()
        self._is_closed = False

    def put(self, item: Reading | Event) -> None:
        """Hand on a reading or an event; never waits."""
        with self._changed:
            if isinstance(item, Reading):
                self._readings[item.camera] = item
            else:
                self._events.append(item)
                if len(self._events) > _EVENTS:
                    self._events.popleft()
                    self.dropped += 1
            self._changed.notify_all()

    def get(self, timeout: float) -> list[Reading | Event]:
        """Return what came since the last call: events in order, then the newest readings.

        Args:
            timeout: seconds to wait for the first of it.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._readings or self._events or self._is_closed, timeout
            )
            found: list[Reading | Event] = [*self._events, *self._readings.values()]
            self._events.clear()
            self._readings.clear()
            return found

    def close(self) -> None:
        """End it; `get` returns at once from then on."""
        self._end(self)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
