"""The alarms of a camera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecount.analytics import Alarm, AlarmEvent, AlarmMemory
from edgecount.errors import ConfigError
from edgecount.watch.readings import AlarmStatus, Event, Unit

if TYPE_CHECKING:
    from edgecount.watch.config import AlarmConfig

PER_M2 = "people per square metre"
_WORDS = {
    "raised": "more than {above:g} {unit}",
    "cleared": "fewer than {below:g} {unit}",
    "acknowledged": "somebody knows of more than {above:g} {unit}",
    "lost": "no counts come, its state is not known",
    "back": "counts come again",
}
# Of the low end of an interval: there are at least as many people.
_SURE_WORDS = {
    **_WORDS,
    "raised": "surely more than {above:g} {unit}",
    "cleared": "perhaps fewer than {below:g} {unit}",
    "acknowledged": "somebody knows of surely more than {above:g} {unit}",
}


@dataclass(frozen=True)
class Measured:
    """How many people are in a picture, or in a region of it, as alarms see them.

    Attributes:
        count: smoothed count.
        low: low end of its likely range; None where it has none, and the count stands in for it.
        per_m2: people per square metre of its ground; None without a ground plane.
    """

    count: float
    low: float | None
    per_m2: float | None

    def by(self, kind: str) -> float | None:
        """Return the number that a rule looks at: of "count", "low" and "per_m2"."""
        value: float | None = getattr(self, kind)
        return self.count if kind == "low" and value is None else value


class _Watched:
    """An alarm with its rule and its reported state."""

    def __init__(
        self, config: AlarmConfig, status: AlarmStatus, wall: float, patience: float
    ) -> None:
        self.config, self.patience = config, patience
        # A clock that was set back meanwhile makes the cooldown no longer than it is.
        since_cleared = None if status.cleared is None else max(wall - status.cleared, 0.0)
        self.alarm = Alarm(
            config.rule(patience),
            AlarmMemory(
                raised=status.raised,
                acknowledged=status.acknowledged,
                lost=not status.has_data,
                peak=status.peak,
                since_cleared=since_cleared,
            ),
        )
        self.since = status.since  # UNIX time at which it was raised
        self.cleared = status.cleared  # and cleared
        self.count: float | None = None
        self.peak = status.peak
        self.is_sure = config.by == "low"  # whether what it compares is the low end of an interval

    def take(self, changes: list[AlarmEvent], wall: float) -> list[AlarmEvent]:
        for change in changes:
            if change.kind == "raised":
                self.since, self.peak = wall, change.count
            elif change.kind == "cleared":
                self.since = self.peak = None
                self.cleared = wall
        if self.since is not None and self.count is not None:
            self.peak = max(self.peak or 0.0, self.count)
        return changes

    def status(self) -> AlarmStatus:
        memory = self.alarm.memory
        return AlarmStatus(
            raised=memory.raised,
            acknowledged=memory.acknowledged,
            has_data=not memory.lost,
            since=self.since,
            peak=self.peak,
            cleared=self.cleared,
            unit=self.unit,
        )

    @property
    def unit(self) -> Unit:
        return "people/m2" if self.config.by == "per_m2" else "people"

    def told(self) -> dict[str, Any]:
        return {
            "region": self.config.region,
            "above": self.config.above,
            "below": self.alarm.rule.clears_below,
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
        kept: alarms to go on from by name, as of before a restart; their rules may be new.
        before: alarms by an earlier config, in place of ``kept``; of those whose rule is the same
            also what has been sustained goes on.
        wall: UNIX time in seconds.
        patience: seconds for which a count of the camera stands at the least.
    """

    def __init__(
        self,
        camera: str,
        rules: Mapping[str, AlarmConfig],
        *,
        kept: Mapping[str, AlarmStatus],
        wall: float,
        before: CameraAlarms | None = None,
        patience: float = 0.0,
    ) -> None:
        self._camera, self._patience = camera, patience
        old: dict[str, _Watched] = {} if before is None else before._watched
        kept = kept if before is None else before.statuses()
        self._watched: dict[str, _Watched] = {}
        for name, config in rules.items():
            one = old.get(name)
            if one is None or (one.config, one.patience) != (config, patience):
                one = _Watched(config, kept.get(name, AlarmStatus()), wall, patience)
            self._watched[name] = one
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
            if people is not None:
                one.is_sure = one.config.by == "low" and people.low is not None
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

    def statuses(self) -> dict[str, AlarmStatus]:
        """Return what survives a restart of each alarm by name."""
        return {name: one.status() for name, one in self._watched.items()}

    def banner(self, statuses: Mapping[str, AlarmStatus]) -> tuple[Alarm, str] | None:
        """Return the alarm that is to be drawn over a picture, and its reason; None: none is.

        Args:
            statuses: the alarms' states after that picture; see `statuses`.
        """
        found = [
            (status.raised and status.has_data, status.raised, not status.acknowledged, name)
            for name, status in statuses.items()
            if name in self._watched and (status.raised or not status.has_data)
        ]
        if not found:
            return None
        name = max(found)[-1]
        shown = _Watched(self._watched[name].config, statuses[name], 0.0, self._patience)
        shown.is_sure = self._watched[name].is_sure
        return shown.alarm, _reason(shown, "raised" if statuses[name].has_data else "lost")

    def end(self, names: Iterable[str], wall: float) -> list[Event]:
        """Return the events of removed alarms: those that were raised are cleared.

        Args:
            names: the alarms that go on.
            wall: UNIX time in seconds.
        """
        going_on = set(names)
        return [
            ended(self._camera, name, wall, one.count, one.peak, one.unit)
            for name, one in self._watched.items()
            if name not in going_on and one.status().raised
        ]

    def _later(self, time: float) -> float:
        # A picture may have been captured before the last look at the clock.
        self._time = max(self._time, time)
        return self._time

    def _event(self, name: str, one: _Watched, change: AlarmEvent, wall: float) -> Event:
        return Event(
            camera=self._camera,
            time=wall,
            kind="alarm",
            name=name,
            change=change.kind,
            count=change.count,
            peak=change.peak,
            detail=_reason(one, change.kind),
            unit=one.unit,
        )


def ended(
    camera: str,
    name: str,
    wall: float,
    count: float | None,
    peak: float | None,
    unit: Unit | None,
) -> Event:
    """Return the event of a raised alarm that is no longer there."""
    detail = "the alarm is no longer in the config"
    return Event(camera, wall, "alarm", name, "cleared", count, peak, detail=detail, unit=unit)


def _reason(one: _Watched, change: str) -> str:
    rule, config = one.alarm.rule, one.config
    unit = PER_M2 if one.unit == "people/m2" else "people"
    words = (_SURE_WORDS if one.is_sure else _WORDS)[change]
    where = "the picture" if config.region is None else config.region
    return f"{where}: {words.format(above=rule.above, below=rule.clears_below, unit=unit)}"
