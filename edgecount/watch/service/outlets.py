"""The receivers of readings and events: sinks and subscriptions."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from edgecount.watch.readings import Event
from edgecount.watch.service.subscription import Subscription
from edgecount.watch.sinks.base import Sink, SinkThread

if TYPE_CHECKING:
    from edgecount.watch.camera import Picture
    from edgecount.watch.readings import Reading
    from edgecount.watch.sinks.base import SinkHealth

_FLUSH = 5.0  # s that sinks have at the end for what waits


class Outlets:
    """The sinks, each in a thread of its own, and the subscriptions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sinks: dict[int, tuple[Sink, SinkThread]] = {}  # by the sink's identity
        self._subscriptions: list[Subscription] = []
        self._held: list[Event] | None = None  # events that come while sinks are changed

    def use(self, sinks: Iterable[Sink]) -> None:
        """Hand on to these sinks from now on; those that are used already go on.

        The others are closed before new ones are opened, which may write the same file. New ones
        are told of the events that come meanwhile.
        """
        wanted = {id(sink): sink for sink in sinks}
        with self._lock:
            self._held = []
            gone = [pair for key, pair in self._sinks.items() if key not in wanted]
            self._sinks = {key: pair for key, pair in self._sinks.items() if key in wanted}
        try:
            _close([thread for _, thread in gone])
        finally:
            self._open(wanted, {sink.name: thread for sink, thread in gone})

    def close(self) -> None:
        """Let the sinks take what waits, close them, and end the subscriptions."""
        self.use(())
        for subscription in list(self._subscriptions):
            subscription.close()

    def subscribe(self) -> Subscription:
        """Return a new subscription."""
        subscription = Subscription(self._end)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def tell(self, item: Reading | Event, picture: Picture | None = None) -> None:
        """Hand on a reading with its picture, or an event; never waits."""
        with self._lock:
            sinks, subscriptions = list(self._sinks.values()), list(self._subscriptions)
            if self._held is not None and isinstance(item, Event):
                self._held.append(item)
        shown = None
        for sink, thread in sinks:
            if picture is not None and getattr(sink, "wants_images", False):
                shown = shown or replace(picture.reading, image=picture.image())
                thread.put(shown)
            else:
                thread.put(item)
        for subscription in subscriptions:
            subscription.put(item)

    def health(self) -> list[SinkHealth]:
        """Return how the sinks are doing."""
        with self._lock:
            threads = [thread for _, thread in self._sinks.values()]
        return [thread.health() for thread in threads]

    def _open(self, wanted: dict[int, Sink], gone: dict[str, SinkThread]) -> None:
        """Start the sinks that are new, each with the events that have come meanwhile."""
        with self._lock:
            held, self._held = self._held or [], None  # else it would grow if a start failed
            for key, sink in wanted.items():
                if key not in self._sinks:
                    thread = SinkThread(sink, gone.get(sink.name))
                    self._sinks[key] = sink, thread
                    for event in held:
                        thread.put(event)

    def _end(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)


def _close(threads: list[SinkThread]) -> None:
    """Close sinks side by side: several that hang take no longer than one."""
    if threads:
        with ThreadPoolExecutor(len(threads), "edgecount-flush") as pool:
            list(pool.map(lambda thread: thread.close(_FLUSH), threads))
