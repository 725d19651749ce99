"""The alarms of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecount.analytics import Alarm, AlarmEvent, AlarmState
from edgecount.errors import ConfigError
from edgecount.watch.readings import Event

if TYPE_CHECKING:
    from edgecount.watch.config import AlarmConfig

_WORDS = {
    "raised": "more than {above:g} {unit}",
    "cleared": "fewer than {below:g} {unit}",
    "acknowledged": "somebody knows of it",
    "lost": "no counts come, its state is not known",
    "back": "counts come again",
}


@dataclass(frozen=True)
class Measured:
    """How many people are in a picture, or in a region of it, as alarms see them.

    Attributes:
        count: smoothed count.
        low: low end of its likely range; the count itself where the model has none.
        per_m2: people per square metre of its ground; None without a ground plane.
    """

    count: float
    low: float
    per_m2: float | None

    def by(self, kind: str) -> float | None:
        """Return the number that a rule looks at: of "count", "low" and "per_m2"."""
        value: float | None = getattr(self, kind)
        return value


class _Watched:
    """An alarm with its rule, and what is told of it."""

    def __init__(self, config: AlarmConfig) -> None:
        self.config = config
        self.alarm = Alarm(config.rule())
        self.since: float | None = None  # UNIX time at which it was raised
        self.count: float | None = None
        self.peak: float | None = None

    def take(self, changes: list[AlarmEvent], wall: float) -> list[AlarmEvent]:
        for change in changes:
            if change.kind == "raised":
                self.since, self.peak = wall, change.count
            elif change.kind == "cleared":
                self.since = self.peak = None
        if self.since is not None and self.count is not None:
            self.peak = max(self.peak or 0.0, self.count)
        return changes

    def told(self) -> dict[str, Any]:
        return {
            "region": self.config.region,
            "above": self.config.above,
            "below": self.alarm.rule.below,
            "by": self.config.by,
            "state": self.alarm.state.value,
            "since": self.since,
            "count": self.count,
            "peak": self.peak,
        }


class CameraAlarms:
    """The alarms of a camera, and the events that they make.

    Args:
        camera: the camera's id.
        rules: the rules by the alarms' names.
        before: alarms by an earlier config; those whose rule is the same go on.
    """

    def __init__(
        self, camera: str, rules: Mapping[str, AlarmConfig], before: CameraAlarms | None = None
    ) -> None:
        self._camera = camera
        old: dict[str, _Watched] = {} if before is None else before._watched
        self._watched: dict[str, _Watched] = {
            name: old[name] if name in old and old[name].config == config else _Watched(config)
            for name, config in rules.items()
        }
        self._time: float = 0.0 if before is None else before._time

    def update(
        self, time: float, wall: float, measured: Mapping[str | None, Measured]
    ) -> list[Event]:
        """Take the counts of a picture, and return what they change.

        Args:
            time: time of the picture by a clock that only goes forward, in seconds.
            wall: its UNIX time in seconds.
            measured: people by the region's name, None for the whole picture; empty if the picture
                cannot be trusted.
        """
        now = self._later(time)
        events = []
        for name, one in self._watched.items():
            people = measured.get(one.config.region)
            count = None if people is None else people.by(one.config.by)
            one.count = one.count if count is None else count
            changes = one.take(one.alarm.update(now, count), wall)
            events += [self._event(name, one, change, wall) for change in changes]
        return events

    def tick(self, time: float, wall: float) -> list[Event]:
        """Note that time has passed without a picture; see `update`."""
        return self.update(time, wall, {})

    def acknowledge(self, name: str, time: float, wall: float) -> list[Event]:
        """Note that somebody knows of a raised alarm; see `update`.

        Raises:
            ConfigError: there is no such alarm.
        """
        if name not in self._watched:
            raise ConfigError(
                f"{self._camera}: alarm: expected one of {sorted(self._watched)}, got {name!r}"
            )
        one = self._watched[name]
        changes = one.take(one.alarm.acknowledge(self._later(time)), wall)
        return [self._event(name, one, change, wall) for change in changes]

    def states(self) -> dict[str, dict[str, Any]]:
        """Return rule, state, count and peak of each alarm as plain JSON types.

        ``since`` is the UNIX time at which it was raised; None while it is not.
        """
        return {name: one.told() for name, one in self._watched.items()}

    def is_raised(self) -> bool:
        """Return whether an alarm is raised, also one that somebody knows of."""
        raised = (AlarmState.RAISED, AlarmState.ACKNOWLEDGED)
        return any(one.alarm.state in raised for one in self._watched.values())

    def _later(self, time: float) -> float:
        # A picture may have been captured before the last look at the clock.
        self._time = max(self._time, time)
        return self._time

    def _event(self, name: str, one: _Watched, change: AlarmEvent, wall: float) -> Event:
        config, rule = one.config, one.alarm.rule
        unit = "people per square metre" if config.by == "per_m2" else "people"
        words = _WORDS[change.kind].format(above=rule.above, below=rule.below, unit=unit)
        where = "the picture" if config.region is None else config.region
        return Event(
            camera=self._camera,
            time=wall,
            kind="alarm",
            name=name,
            change=change.kind,
            count=change.count,
            peak=change.peak,
            detail=f"{where}: {words}",
        )
