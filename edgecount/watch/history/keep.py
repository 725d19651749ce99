"""Where a history is kept, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Settings(Protocol):
    """What a history needs to know; the section `history` of the config has it."""

    @property
    def path(self) -> Path:
        """The file; its folder is made if it is missing."""

    @property
    def minutes(self) -> int:
        """Days for which minutes are kept; two at least, as days are made from their minutes."""

    @property
    def hours(self) -> int:
        """Days for which hours, and events, are kept."""

    @property
    def days(self) -> int:
        """Days for which days are kept."""


@dataclass(frozen=True)
class Keep:
    """Settings without a config.

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
