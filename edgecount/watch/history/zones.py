"""Hours, days and weeks of local time, which may be shorter or longer than usual."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = 60, 3600, 86400

_LOCALTIME = Path("/etc/localtime")


def local_zone() -> tzinfo:
    """Return the time zone of this machine: that of TZ, or of /etc/localtime, or else UTC."""
    try:
        named = os.environ.get("TZ", "").lstrip(":")
        if named:
            return ZoneInfo(named)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):  # no such zone, or no zones on this machine
        return timezone.utc


def local(time: float, zone: tzinfo) -> datetime:
    """Return a UNIX time as a time of the zone."""
    return datetime.fromtimestamp(time, zone)


def hour_start(time: int, zone: tzinfo) -> int:
    """Return when the local hour began that a UNIX time lies in; zones may be off by half hours."""
    offset = local(time, zone).utcoffset() or timedelta()
    return time - int(time + offset.total_seconds()) % HOUR


def day_start(time: float, zone: tzinfo, days: int = 0) -> int:
    """Return when the local day began that a UNIX time lies in, or one so many days later."""
    day = local(time, zone).date() + timedelta(days)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def week_start(time: float, zone: tzinfo) -> int:
    """Return when the local week began that a UNIX time lies in: its Monday at midnight."""
    return day_start(time, zone, -local(time, zone).weekday())
