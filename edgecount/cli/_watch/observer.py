"""Events and state of a service, for the log and for systemd."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from edgecount._memory import free_unused
from edgecount.runtime.sources.live import SourceState
from edgecount.watch.camera.alarms import PER_M2
from edgecount.watch.page.contract import HUNG
from edgecount.watch.readings import Event, Reading

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.watch.service import Service
    from edgecount.watch.systemd import Notifier

_log = logging.getLogger(__name__)

_EVERY = 1.0  # s between looks
_TRIM = 30.0  # s between returns of memory to the system
_TRUSTED = ("good", "learning")  # states of a picture that are no reason to worry


class Observer:
    """A thread that logs a service's events and tells systemd that it is alive.

    A context manager. It is not part of the service, so that it notices when that hangs.

    Args:
        service: the service.
        notifier: notifications to systemd.
    """

    def __init__(self, service: Service, notifier: Notifier) -> None:
        self._service, self._notifier = service, notifier
        self._subscription = service.subscribe()
        self._failing: dict[str, int] = {}  # what sinks that fail had delivered
        self._seen: set[str] = set()  # cameras that have given pictures
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgecount-observer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._subscription.close()

    def look(self) -> None:
        """Log new events, and reset systemd's watchdog if counting makes progress."""
        items = self._subscription.get(0)
        self._seen.update(item.camera for item in items if isinstance(item, Reading))
        for item in items:
            if isinstance(item, Event):
                log_event(item, seen=item.camera in self._seen)
        self._log_sinks()
        self._notifier.status(status_of(self._service))
        if self._service.heartbeat() < HUNG:
            self._notifier.alive()

    def _run(self) -> None:
        trimmed = time.monotonic()
        while not self._end.wait(_EVERY):
            self._try_to_look()
            if time.monotonic() - trimmed >= _TRIM:
                # Readers of cameras come and go with their threads, and the C library keeps what
                # each of them had: with cameras that are lost now and then it grew for hours.
                free_unused()
                trimmed = time.monotonic()
        self._try_to_look()

    def _try_to_look(self) -> None:
        try:
            self.look()
        except Exception:  # noqa: BLE001 (its next look may succeed; without one systemd restarts)
            _log.exception("the service could not be looked at")

    def _log_sinks(self) -> None:
        """Log the sinks that work again; that one fails is logged by itself."""
        for sink in self._service.sinks():
            if sink.error is not None:
                self._failing[sink.name] = sink.delivered
            # One that is open has not taken anything yet: a disk may still be full.
            elif sink.delivered > self._failing.get(sink.name, sink.delivered):
                del self._failing[sink.name]
                _log.info("%s: it works again", sink.name)


def log_event(event: Event, *, seen: bool = True) -> None:
    """Log an event at the level that fits it.

    Args:
        event: the event.
        seen: whether its camera has given a picture before.
    """
    worrying = event.change in ("raised", "lost") or (
        event.kind == "picture" and event.change not in _TRUSTED
    )
    level = logging.WARNING if worrying else logging.INFO
    _log.log(level, "%s: %s", event.camera, _text_of(event, seen), extra={"camera": event.camera})


def _text_of(event: Event, seen: bool) -> str:
    what = f"alarm {event.name} is {event.change}" if event.kind == "alarm" else ""
    if event.kind == "alarm" and event.change in ("lost", "back"):
        has = "has no counts any more" if event.change == "lost" else "has counts again"
        what = f"alarm {event.name} {has}"
    elif event.kind == "camera":
        lost = "the camera is lost" if seen else "the camera cannot be reached"
        return f"{lost}: {event.detail}" if event.change == "lost" else "it is back"
    elif event.kind == "picture":
        return event.detail or f"the picture is {event.change}"
    if event.count is not None:
        unit = PER_M2 if event.unit == "people/m2" else "people"
        what += f": {event.count:.1f} {unit}"
    return f"{what}: {event.detail}" if event.detail else what


def status_of(service: Service) -> str:
    """Return the state of a service in one line."""
    cameras = service.cameras.values()
    live = sum(camera.health().state is SourceState.LIVE for camera in cameras)
    text = f"{live} of {len(cameras)} cameras give pictures"
    failing = [sink.name for sink in service.sinks() if sink.error is not None]
    if service.error is not None:
        text += f"; counting stands still: {service.error}"
    if failing:
        text += f"; failing: {', '.join(failing)}"
    return text
