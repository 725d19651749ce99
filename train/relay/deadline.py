"""The time to stop at: a time of the day, or some minutes from now."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

from edgecount.errors import ConfigError


class Deadline:
    """A callable that tells whether another stretch of work would end too late.

    Args:
        at: seconds since the epoch; None: never.
    """

    def __init__(self, at: float | None = None) -> None:
        self.at = at
        self._asked: float | None = None
        self._longest = 0.0

    def __call__(self) -> bool:
        """Return True if the next stretch, as long as the longest so far, would not fit."""
        now = time.time()
        if self._asked is not None:
            self._longest = max(self._longest, now - self._asked)
        self._asked = now
        return self.at is not None and now + self._longest > self.at

    def minutes_left(self) -> float:
        """Return the minutes until the deadline; infinity without one."""
        return float("inf") if self.at is None else (self.at - time.time()) / 60


def deadline(until: str | None, minutes: float | None, now: datetime | None = None) -> Deadline:
    """Return the deadline of the options ``--until`` and ``--minutes``; neither: none.

    Args:
        until: HH:MM of the machine's clock; a time that has passed today is tomorrow's.
        minutes: minutes from now.
        now: the present, with a time zone.

    Raises:
        ConfigError: both are given, or one makes no sense.
    """
    if until is not None and minutes is not None:
        raise ConfigError("expected --until or --minutes, got both")
    now = now or datetime.now().astimezone()
    if minutes is not None:
        if not minutes > 0:
            raise ConfigError(f"--minutes: expected a number above 0, got {minutes:g}")
        return Deadline((now + timedelta(minutes=minutes)).timestamp())
    if until is None:
        return Deadline()
    found = re.fullmatch(r"(\d{1,2}):(\d\d)", until)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise ConfigError(f"--until: expected a time of the day such as 21:30, got {until!r}")
    at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    if at <= now:
        at += timedelta(days=1)
    return Deadline(at.timestamp())
