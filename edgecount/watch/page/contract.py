"""The part of the service that the page needs, so that either can be tested without the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgecount.runtime.sources.live import SourceHealth
    from edgecount.watch.readings import Event, Reading
    from edgecount.watch.sinks.base import SinkHealth

HUNG = 20.0
"""Seconds after which counting that has not gone on has hung."""


class CameraSettings(Protocol):
    """The part of a camera's section of the config that the page needs."""

    @property
    def patience(self) -> float:
        """Seconds for which a count stands at the least; 0 for a camera of no `rate`."""


class CameraView(Protocol):
    """A camera of the service. All of it may be called from any thread."""

    @property
    def config(self) -> CameraSettings:
        """Its section of the config."""

    @property
    def title(self) -> str:
        """Name for people."""

    def latest(self) -> Reading | None:
        """Return the newest reading; None before the first one."""

    def jpeg(self, *, width: int | None = None) -> bytes | None:
        """Return the newest picture as a JPEG, encoded once however many ask; None: there is none.

        It is at most so many pixels wide.

        Heads are pixelated in it if the config asks for that.
        """

    def health(self) -> SourceHealth:
        """Return how the camera is doing."""

    def shapes(self) -> dict[str, Any]:
        """Return regions, excluded, lines and ground in plain JSON types, as in the config."""

    def alarms(self) -> dict[str, dict[str, Any]]:
        """Return the alarms by name in plain JSON types.

        Of each: region (None: the whole picture), above, below, by, state (as `AlarmState`), since
        (UNIX time in seconds of its last change, or None), count and peak (or None).
        """


class Subscription(Protocol):
    """Readings and events as they come; nothing waits for it."""

    def get(self, timeout: float) -> list[Reading | Event]:
        """Return what came since the last call, waiting so many seconds for the first of it.

        Of readings it is the newest of each camera; events are all there.
        """

    def close(self) -> None:
        """End it; `get` returns at once from then on."""


class History(Protocol):
    """A history of counts by minutes, hours and days. An unknown camera is a ConfigError."""

    @property
    def zone(self) -> tzinfo:
        """Time zone of days and hours."""

    def series(
        self, camera: str, what: str, start: float, end: float, points: int
    ) -> dict[str, Any]:
        """Return step (s), and time (UNIX s), min, mean, max, low and high as lists of one length.

        Of a line it is into and out, people that crossed in each step, and the others are None.
        """

    def patterns(self, camera: str, what: str, *, now: float | None = None) -> dict[str, Any]:
        """Return hours ([7][24] means, from Monday), busiest ({hour, mean, max}) and weeks.

        Weeks are lists of 168 hourly means, this and last; None stands where nothing was counted.
        """

    def events(self, camera: str | None, start: float, end: float) -> list[dict[str, Any]]:
        """Return events as `Event.to_dict` makes them, the newest first."""

    def export(
        self, start: float, end: float, *, camera: str | None = None, what: str | None = None
    ) -> Iterator[str]:
        """Return a stretch of time as CSV, some rows at a time."""


class Service(Protocol):
    """A running service. All of it may be called from any thread."""

    @property
    def cameras(self) -> Mapping[str, CameraView]:
        """Cameras by their id, in the order of the config."""

    @property
    def history(self) -> History | None:
        """Return the history; None: none is kept."""

    def sinks(self) -> list[SinkHealth]:
        """Return how the sinks are doing."""

    def heartbeat(self) -> float:
        """Return the seconds since counting last went on."""

    def subscribe(self) -> Subscription:
        """Return a subscription of all cameras."""

    def acknowledge(self, camera: str, alarm: str) -> None:
        """Note that somebody knows of an alarm; ConfigError if there is none of that name."""

    def change_shapes(
        self, camera: str, shapes: Mapping[str, Any], *, since: str | None = None
    ) -> None:
        """Check and save regions, excluded, lines and ground, and count by them from now on.

        They are saved over those of the version `since` (see `shapes_version`), or any (None).

        Raises:
            ConfigError: something makes no sense, or (a ChangedError) there is another version by
                now; nothing has changed.
        """

    def keep(self, camera: str) -> str:
        """Keep the newest picture for labelling and return the name of its file."""
