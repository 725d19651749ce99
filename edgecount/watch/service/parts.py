"""Sinks and history of a config, kept over a reload where their sections are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecount.watch.service.state import State
from edgecount.watch.sinks.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.runtime.sources.live import SourceHealth
    from edgecount.watch.config import SinksConfig, WatchConfig
    from edgecount.watch.history import History
    from edgecount.watch.readings import AlarmStatus
    from edgecount.watch.sinks.base import Sink, SinkHealth
    from edgecount.watch.sinks.clips import Draw


@dataclass(frozen=True)
class Tools:
    """Functions of the service that sinks are given.

    Attributes:
        draw: draws over a reading's picture, for clips.
        health: returns the health of each camera, for metrics.
        sinks: returns the health of each sink, for metrics.
    """

    draw: Draw
    health: Callable[[], Mapping[str, SourceHealth]]
    sinks: Callable[[], Sequence[SinkHealth]]


class Parts:
    """Sinks and history of a config.

    Args:
        config: the config.
        tools: what the sinks are given.
        given: sinks in place of those of the config; None: those.
        before: those of an earlier config; what has not changed is the same.

    Attributes:
        history: the history; None: none is kept.
        state: what survives a restart; None: nothing does.
    """

    def __init__(
        self,
        config: WatchConfig,
        tools: Tools,
        given: list[Sink] | None,
        before: Parts | None = None,
    ) -> None:
        self._config, self._tools, self._given = config, tools, given
        self.history: History | None
        self.state: State | None
        self._sinks: list[Sink]
        if before is not None and before._config.history == config.history:
            self.history, self.state = before.history, before.state
        else:
            self.history = _history(config)
            path = state_path(config)
            self.state = None if path is None else State(path)
        self._sinks = self._changed_sinks(before) if given is None else given

    @property
    def all(self) -> list[Sink]:
        """All that is to be told."""
        own = [sink for sink in (self.history, self.state) if sink is not None]
        return [*own, *self._sinks]

    def announce(
        self, config: WatchConfig, statuses: Mapping[str, Mapping[str, AlarmStatus]]
    ) -> None:
        """Tell the sinks that want to know what is counted by a config, and alarms' states."""
        for sink in self._sinks:
            set_cameras = getattr(sink, "set_cameras", None)
            if set_cameras is not None:
                set_cameras(_watched(config, statuses))

    def _changed_sinks(self, before: Parts | None) -> list[Sink]:
        """Return the sinks of the config, each the one of before if its section is the same."""
        sections = vars(self._config.sinks)
        going_on: dict[str, Sink] = {}
        if before is not None:
            old = vars(before._config.sinks)
            going_on = {
                sink.name: sink for sink in before._sinks if old[sink.name] == sections[sink.name]
            }
        changed = replace(self._config.sinks, **dict.fromkeys(going_on))
        made = {sink.name: sink for sink in _sinks(self._config, changed, self._tools)}
        by_name = going_on | made
        return [by_name[name] for name in sections if name in by_name]

    def metrics(self) -> bytes | None:
        """Return Prometheus' metrics; None: the config asks for none."""
        for sink in self._sinks:
            render: Callable[[], bytes] | None = getattr(sink, "render", None)
            if render is not None:
                return render()
        return None

    def changed(self, config: WatchConfig) -> Parts:
        """Return those of another config; what has not changed is the same."""
        return Parts(config, self._tools, self._given, self)


def _watched(
    config: WatchConfig, statuses: Mapping[str, Mapping[str, AlarmStatus]]
) -> dict[str, Watched]:
    return {
        name: Watched(
            title=camera.title or name,
            regions=tuple(camera.regions),
            lines=tuple(camera.lines),
            alarms=tuple(camera.alarms),
            ground=camera.ground is not None,
            patience=camera.patience,
            rate=camera.rate or 0.0,
            statuses=statuses.get(name, {}),
        )
        for name, camera in config.cameras.items()
    }


def _sinks(config: WatchConfig, sections: SinksConfig, tools: Tools) -> list[Sink]:
    if all(section is None for section in vars(sections).values()):
        return []
    from edgecount.watch.sinks.opening import open_sinks

    return open_sinks(
        sections,
        _watched(config, {}),
        draw=tools.draw,
        health=tools.health,
        sinks=tools.sinks,
    )


def _history(config: WatchConfig) -> History | None:
    if config.history is None:
        return None
    from edgecount.watch.history import History

    return History(config.history)


def state_path(config: WatchConfig) -> Path | None:
    """Return the file of what survives a restart, beside the history; None: nothing does."""
    if config.history is None:
        return None
    path = config.history.path
    return path.with_name(path.name + ".state.json")
