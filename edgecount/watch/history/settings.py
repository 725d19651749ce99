"""The file of a history, and how long its rows are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Settings(Protocol):
    """The settings of a history; `HistoryConfig` has them, too."""

    @property
    def path(self) -> Path:
        """The file; its folder is created if it is missing."""

    @property
    def minutes(self) -> int:
        """Days for which minutes are kept; at least two, since days are computed from minutes."""

    @property
    def hours(self) -> int:
        """Days for which hours, and events, are kept."""

    @property
    def days(self) -> int:
        """Days for which days are kept."""


@dataclass(frozen=True)
class HistorySettings:
    """Settings of a history that is opened without a config.

    Attributes:
        path: the file.
        minutes: days for which minutes are kept.
        hours: days for which hours, and events, are kept.
        days: days for which days are kept.
    """

    path: Path
    minutes: int = 31
    hours: int = 400
    days: int = 4000
