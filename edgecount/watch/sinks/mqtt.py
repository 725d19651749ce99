"""Readings and events for an MQTT broker, and Home Assistant behind it."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgecount.errors import ConfigError, EdgeCountError, OutputError
from edgecount.watch.readings import Event, Reading
from edgecount.watch.sinks.base import Sink
from edgecount.watch.sinks.broker import Broker, BrokerOptions
from edgecount.watch.sinks.discovery import Topics, announcements
from edgecount.watch.sinks.documents import encode, event_document, reading_document
from edgecount.watch.sinks.pace import Pace
from edgecount.watch.sinks.watched import Watched

_log = logging.getLogger(__name__)

_LEAVE = 2.0  # s for the last word; after it the broker itself says that the service is gone
_QUIET: dict[str, Any] = {"state": "OFF", "acknowledged": False, "data": True}
_CHANGES: dict[str, dict[str, Any]] = {
    "raised": {"state": "ON", "acknowledged": False},
    "acknowledged": {"acknowledged": True},
    "cleared": {"state": "OFF", "acknowledged": False},
    "lost": {"data": False},
    "back": {"data": True},
}


class Mqtt(Sink):
    """A sender to an MQTT broker.

    Below the topic, ``status`` is ``online`` or, if the service or its connection is gone,
    ``offline``. Of each camera there are ``availability``, ``state``, ``regions/NAME``,
    ``lines/NAME``, ``alarms/NAME`` (all kept by the broker for those who come later) and ``events``
    (sent until the broker has confirmed them). Names with other characters than letters, digits,
    ``-`` and ``_`` have those replaced.

    Args:
        host: name or address of the broker.
        port: TCP port; None: 8883 with TLS, 1883 without.
        tls: whether the connection is encrypted, and the broker's certificate checked.
        ca_file: PEM file of the authority that signed it; None: those that the system trusts.
        user: user's name; None: anonymous.
        password: the user's password, or what reads it at each connection.
        topic: what all topics begin with; each edgecount of a broker needs one of its own.
        discovery: Home Assistant's topic for devices that announce themselves; None: no announcing.
        every: seconds between readings of a camera; 0 for all.
        cameras: cameras by id, whose readings alone are sent; None: all are, without announcing.
        timeout: seconds that connecting, or an answer, may take.

    Raises:
        ConfigError: a value makes no sense.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        tls: bool = False,
        ca_file: str | Path | None = None,
        user: str | None = None,
        password: str | Callable[[], str] | None = None,
        topic: str = "edgecount",
        discovery: str | None = "homeassistant",
        every: float = 5.0,
        cameras: Mapping[str, Watched] | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.name = "mqtt"
        self._options = BrokerOptions(host, port, tls, ca_file, user, password, timeout)
        self._topics = Topics(_checked_topic("topic", topic))
        self._discovery = discovery and _checked_topic("discovery", discovery)
        self._every = every
        self._pace = Pace(every, topic)
        self._lock = threading.Lock()
        self._given = None if cameras is None else dict(cameras)
        self._cameras: dict[str, Watched] | None = None  # those that are announced
        self._gone: set[str] = set()  # cameras that were announced and are no more
        self._announced: dict[str, bytes] = {}
        self._available: dict[str, bool] = {}
        self._alarms: dict[tuple[str, str], dict[str, Any]] = {}
        self._broker: Broker | None = None

    def set_cameras(self, cameras: Mapping[str, Watched]) -> None:
        """Send of these cameras from now on, and delete what is kept of others; from any thread."""
        with self._lock:
            self._given = dict(cameras)

    def open(self) -> None:
        """Connect, and tell what cameras there are.

        Raises:
            MissingExtraError: paho-mqtt is not installed.
            OutputError: there is no connection.
        """
        will = self._topics.status, "offline"
        self._broker = Broker(self._options, will, self._hear)
        self._broker.wait(self._broker.publish(self._topics.status, "online", sure=True))
        self._cameras, self._announced = None, {}
        self._announce(self._broker)
        self._broker.subscribe(self._topics.kept)
        self._list_kept(self._broker)

    def reading(self, reading: Reading) -> None:
        """Send a reading, if one of its camera is due; OutputError if the connection is lost."""
        broker = self._ready()
        watched = self._watched(reading.camera)
        if watched is None or not self._pace.is_due(reading):
            return
        told = reading_document(reading)
        self._send(broker, (reading.camera, "state"), told)
        stamp = {"time": told["time"]}
        for name in told["regions"] if self._cameras is None else watched.regions:
            # Of a picture that cannot be trusted the old count must not stay.
            numbers = told["regions"].get(name, {"count": None, "smooth": None, "per_m2": None})
            self._send(broker, (reading.camera, "regions", name), {**numbers, **stamp})
        for name, numbers in told["lines"].items():
            if self._cameras is None or name in watched.lines:
                self._send(broker, (reading.camera, "lines", name), {**numbers, **stamp})
        self._set_available(broker, reading.camera, available=True)
        self._pace.note(reading)

    def event(self, event: Event) -> None:
        """Send an event and what it changes; OutputError if the broker does not confirm it."""
        broker = self._ready()
        watched = self._watched(event.camera)
        # Whoever heard of the alarm of a camera that is removed has to hear that it is over.
        if watched is None and event.camera not in self._gone:
            return
        topic = self._topics.of(event.camera, "events")
        messages = [broker.tell(topic, encode(event_document(event)))]
        is_known = watched is not None and (self._cameras is None or event.name in watched.alarms)
        if event.kind == "alarm" and is_known:
            messages.append(self._send_alarm(broker, event))
        elif watched is not None and event.kind == "camera" and event.change in {"lost", "back"}:
            self._set_available(broker, event.camera, available=event.change == "back")
        for message in messages:
            broker.wait(message)

    def idle(self) -> None:
        """Notice a lost connection, and other cameras; OutputError if it is lost."""
        self._ready()

    def close(self) -> None:
        """Say that the service is gone, if the broker is there, and disconnect."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        with contextlib.suppress(EdgeCountError):
            broker.wait(broker.publish(self._topics.status, "offline", sure=True), _LEAVE)
        broker.close()

    def _ready(self) -> Broker:
        """Return the connection after telling what has changed about the cameras."""
        if self._broker is None:
            raise OutputError("mqtt: expected an open connection, got none: call open() first")
        self._broker.check()
        with self._lock:
            has_changed = self._given != self._cameras
        if has_changed:
            before = set(self._announced)
            self._announce(self._broker)
            for topic in before - set(self._announced):
                self._broker.publish(topic, b"", sure=True)
            self._list_kept(self._broker)
        return self._broker

    def _watched(self, camera: str) -> Watched | None:
        return Watched(camera) if self._cameras is None else self._cameras.get(camera)

    def _announce(self, broker: Broker) -> None:
        """Publish what is kept of each camera before its first reading."""
        from edgecount import __version__

        with self._lock:
            self._cameras = self._given
            cameras = dict(self._given or {})
        self._gone = (self._gone | self._available.keys()) - cameras.keys()
        kept: dict[str, bytes] = {}
        for camera, watched in cameras.items():
            kept.update(dict.fromkeys(self._topics.all_of(camera, watched), b""))
            is_available = self._available.setdefault(camera, False)
            kept[self._topics.of(camera, "availability")] = _word(is_available)
            for alarm in watched.alarms:
                state = self._alarms.setdefault((camera, alarm), _state_of(watched, alarm))
                kept[self._topics.of(camera, "alarms", alarm)] = encode(state)
            if self._discovery:
                told = announcements(
                    self._discovery, self._topics, camera, watched,
                    version=__version__, expire=max(60.0, 4 * self._every, watched.patience),
                )  # fmt: skip
                kept.update({topic: encode(content) for topic, content in told})
        self._available = {camera: self._available[camera] for camera in cameras}
        self._alarms = {
            (camera, alarm): self._alarms[camera, alarm]
            for camera, watched in cameras.items()
            for alarm in watched.alarms
        }
        for topic, content in kept.items():
            if content and self._announced.get(topic) != content:
                broker.publish(topic, content, sure=True)
        self._announced = kept

    def _list_kept(self, broker: Broker) -> None:
        broker.publish(self._topics.kept, encode(sorted(self._announced)), sure=True)

    def _hear(self, topic: str, payload: bytes, was_kept: bool) -> None:
        """Delete what an earlier run, with other cameras, has left at the broker."""
        broker = self._broker
        if broker is None or topic != self._topics.kept or not was_kept:
            return
        try:
            listed = {str(one) for one in json.loads(payload)}
            for old in listed - set(self._announced):
                if self._is_own(old):
                    broker.publish(old, b"", sure=True)
        except (ValueError, TypeError, RecursionError, EdgeCountError) as error:
            _log.debug("%s: %s", topic, error)

    def _is_own(self, topic: str) -> bool:
        """Return whether a topic, which the broker tells, is one that this service may delete."""
        own = [f"{self._topics.base}/"]
        own += [f"{self._discovery}/"] if self._discovery else []
        is_below = any(topic.startswith(start) for start in own)
        return is_below and not any(letter in topic for letter in "+#\0")

    def _send(self, broker: Broker, parts: tuple[str, ...], content: Mapping[str, Any]) -> None:
        broker.publish(self._topics.of(*parts), encode(content))

    def _send_alarm(self, broker: Broker, event: Event) -> Any:
        state = {**self._alarms.get((event.camera, event.name), _QUIET)}
        told = event.to_dict()
        state.update(_CHANGES.get(event.change, {}))
        state.update({key: told[key] for key in ("time", "count", "peak", "unit", "detail")})
        self._alarms[event.camera, event.name] = state
        topic = self._topics.of(event.camera, "alarms", event.name)
        return broker.publish(topic, encode(state), sure=True)

    def _set_available(self, broker: Broker, camera: str, *, available: bool) -> None:
        if self._available.get(camera) != available:
            broker.publish(self._topics.of(camera, "availability"), _word(available), sure=True)
            self._available[camera] = available


def _state_of(watched: Watched, alarm: str) -> dict[str, Any]:
    """Return the state of an alarm of which no event has come yet."""
    status = watched.statuses.get(alarm)
    if status is None:
        return _QUIET
    told = {"acknowledged": status.acknowledged, "data": status.has_data}
    return {"state": "ON" if status.raised else "OFF", **told}


def _word(available: bool) -> bytes:
    return b"online" if available else b"offline"


def _checked_topic(name: str, topic: str) -> str:
    parts = topic.split("/")
    if not all(parts) or any(letter in topic for letter in "+#\0") or topic.startswith("$"):
        raise ConfigError(
            f"{name}: expected a topic such as site/edgecount, without +, # and empty parts, "
            f"got {topic!r}"
        )
    return topic
