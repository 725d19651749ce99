"""Sinks and history of a config, kept over a reload where their sections are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecount.watch.service.line_state import LineState
from edgecount.watch.sinks.watched import Watched

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.watch.config import CameraConfig, WatchConfig
    from edgecount.watch.history import History
    from edgecount.watch.sinks.base import Sink


class Parts:
    """Sinks and history of a config."""

    def __init__(
        self, config: WatchConfig, given: list[Sink] | None, before: Parts | None = None
    ) -> None:
        self._config, self._given = config, given
        self.history: History | None
        self._state: LineState | None
        self._sinks: list[Sink]
        if before is not None and before._config.history == config.history:
            self.history, self._state = before.history, before._state
        else:
            self.history = _history(config)
            path = state_path(config)
            self._state = None if path is None else LineState(path)
        if given is not None:
            self._sinks = given
        elif before is not None and before._config.sinks == config.sinks:
            self._sinks = before._sinks
        else:
            self._sinks = _sinks(config)

    @property
    def all(self) -> list[Sink]:
        """All that is to be told."""
        own = [sink for sink in (self.history, self._state) if sink is not None]
        return [*own, *self._sinks]

    def announce(self, config: WatchConfig) -> None:
        """Tell the sinks that want to know what is counted by a config."""
        watched = {name: _watched(name, camera) for name, camera in config.cameras.items()}
        for sink in self._sinks:
            set_cameras = getattr(sink, "set_cameras", None)
            if set_cameras is not None:
                set_cameras(watched)

    def changed(self, config: WatchConfig) -> Parts:
        """Return those of another config; what has not changed is the same."""
        return Parts(config, self._given, self)


def _watched(name: str, config: CameraConfig) -> Watched:
    return Watched(
        title=config.title or name,
        regions=tuple(config.regions),
        lines=tuple(config.lines),
        alarms=tuple(config.alarms),
        ground=config.ground is not None,
    )


def _sinks(config: WatchConfig) -> list[Sink]:
    if all(section is None for section in vars(config.sinks).values()):
        return []
    from edgecount.watch.sinks.opening import open_sinks  # type: ignore[import-untyped]

    return list(open_sinks(config.sinks))


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
