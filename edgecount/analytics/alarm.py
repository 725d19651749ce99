"""Alarms: one event for a breach, however the count flickers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from edgecount._alarms import COOLDOWN, ENTER, LEAVE, STALE
from edgecount._numbers import check_seconds, is_finite
from edgecount.analytics._checks import check_people, later
from edgecount.errors import ConfigError


@dataclass(frozen=True)
class AlarmRule:
    """When an alarm is raised and cleared.

    Attributes:
        above: it is raised when more people than this are there,
        enter: for this many seconds without a break;
        below: and cleared when fewer than this are there, above 0 and at most ``above``; None:
            than ``above``,
        leave: for this many seconds without a break.
        cooldown: seconds after it was cleared in which it is not raised again.
        stale: seconds without a count after which its state is unknown.

    Raises:
        ConfigError: a number makes no sense.
    """

    above: float
    below: float | None = None
    enter: float = ENTER
    leave: float = LEAVE
    cooldown: float = COOLDOWN
    stale: float = STALE

    def __post_init__(self) -> None:
        for name in ("enter", "leave", "cooldown", "stale"):
            check_seconds(name, getattr(self, name))
        below = self.clears_below
        if not is_finite(self.above, below):
            raise ConfigError(f"above, below: expected people, got {self.above!r}, {self.below!r}")
        if below <= 0:
            name = "above" if self.below is None else "below"
            raise ConfigError(
                f"{name}: expected people above 0, got {below:g}: fewer are never there, and "
                "the alarm would stay raised. Give 0.5 for a place where nobody is to be"
            )
        if below > self.above:
            raise ConfigError(f"below: expected at most above ({self.above:g}), got {below:g}")

    @property
    def clears_below(self) -> float:
        """People below whom it is cleared: ``below``, or ``above`` where there is none."""
        return self.above if self.below is None else self.below


class AlarmState(enum.Enum):
    """State of an alarm."""

    QUIET = "quiet"
    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"  # raised, and somebody knows
    NO_DATA = "no data"


@dataclass(frozen=True)
class AlarmEvent:
    """A change of an alarm's state.

    Attributes:
        kind: ``raised``, ``cleared``, ``acknowledged``, ``lost`` (no counts come) or ``back``.
        time: time of the change, in seconds.
        count: the newest count; None before the first.
        peak: most people since the alarm was raised; None while it is not.
        state: the state from now on.
    """

    kind: Literal["raised", "cleared", "acknowledged", "lost", "back"]
    time: float
    count: float | None
    peak: float | None
    state: AlarmState


@dataclass(frozen=True)
class AlarmMemory:
    """State from which an alarm goes on after a restart; see `Alarm.memory`.

    Attributes:
        raised: whether it is raised.
        acknowledged: whether somebody knows.
        lost: whether counts stay away.
        peak: most people since it was raised; None while it is not.
        since_cleared: seconds since it was last cleared; None if it never was.
    """

    raised: bool = False
    acknowledged: bool = False
    lost: bool = False
    peak: float | None = None
    since_cleared: float | None = None


class Alarm:
    """An alarm with hysteresis in people and in seconds.

    Call `update` for every count and, so that silence is noticed, `tick` now and then without one.
    A raised alarm stays raised below the state ``NO_DATA``; what had been sustained before a gap
    has to be sustained anew after it.

    Args:
        rule: the rule.
        memory: of an alarm that this one goes on from, at the first call; its rule may have been
            another one.
    """

    def __init__(self, rule: AlarmRule, memory: AlarmMemory | None = None) -> None:
        memory = memory or AlarmMemory()
        self.rule = rule
        self._raised = memory.raised
        self._acknowledged = memory.raised and memory.acknowledged
        self._lost = memory.lost
        self._count: float | None = None
        self._peak: float | None = memory.peak if memory.raised else None
        self._since_cleared = memory.since_cleared  # at the first call
        self._time: float | None = None  # of the newest call
        self._counted: float | None = None  # of the newest count
        self._since: float | None = None  # how long the count has asked for a change
        self._cleared: float | None = None

    @property
    def state(self) -> AlarmState:
        """State at the newest call."""
        if self._lost:
            return AlarmState.NO_DATA
        if not self._raised:
            return AlarmState.QUIET
        return AlarmState.ACKNOWLEDGED if self._acknowledged else AlarmState.RAISED

    @property
    def memory(self) -> AlarmMemory:
        """State at the newest call, for an alarm that goes on from it."""
        since = self._since_cleared
        if self._cleared is not None and self._time is not None:
            since = self._time - self._cleared
        return AlarmMemory(self._raised, self._acknowledged, self._lost, self._peak, since)

    def update(self, time: float, count: float | None) -> list[AlarmEvent]:
        """Take a count and return what it changes, mostly nothing.

        Args:
            time: time of the count, in seconds, not before that of the last call.
            count: people, best a smoothed count; or the low end of its interval, for alarms that
                are sure; None if nothing was counted, as where the picture cannot be trusted: like
                no call at all.

        Raises:
            InputError: the time is before the last one, or the count is not finite.
        """
        if count is None:
            return self.tick(time)
        check_people(count=count)
        events = self.tick(time)
        self._counted, self._count = time, count
        if self._lost:
            self._lost, self._since = False, None
            events.append(self._event("back", time))
        if self._raised:
            self._peak = max(self._peak or count, count)
        events += self._step(time, count)
        return events

    def tick(self, time: float) -> list[AlarmEvent]:
        """Note that time has passed, and return the event of counts that stay away.

        Raises:
            InputError: the time is before the last one.
        """
        self._pass(time)
        if self._counted is None:
            self._counted = time  # of the first call: a source that never starts is lost, too
        if self._lost or time - self._counted <= self.rule.stale:
            return []
        self._lost = True
        return [self._event("lost", time)]

    def acknowledge(self, time: float) -> list[AlarmEvent]:
        """Note that somebody knows; without a raised alarm nothing happens.

        Raises:
            InputError: the time is before the last one.
        """
        self._pass(time)
        if not self._raised or self._acknowledged:
            return []
        self._acknowledged = True
        return [self._event("acknowledged", time)]

    def _pass(self, time: float) -> None:
        later(time, self._time)
        self._time = time
        if self._since_cleared is not None:
            self._cleared, self._since_cleared = time - self._since_cleared, None

    def _step(self, time: float, count: float) -> list[AlarmEvent]:
        rule = self.rule
        asks = count < rule.clears_below if self._raised else count > rule.above
        if not asks:
            self._since = None
            return []
        self._since = time if self._since is None else self._since
        if time - self._since < (rule.leave if self._raised else rule.enter):
            return []
        if self._raised:
            self._raised = self._acknowledged = False
            self._cleared, self._since = time, None
            event = self._event("cleared", time)
            self._peak = None
            return [event]
        if self._cleared is not None and time - self._cleared < rule.cooldown:
            return []
        self._raised, self._since, self._peak = True, None, count
        return [self._event("raised", time)]

    def _event(
        self, kind: Literal["raised", "cleared", "acknowledged", "lost", "back"], time: float
    ) -> AlarmEvent:
        return AlarmEvent(kind, time, self._count, self._peak, self.state)
