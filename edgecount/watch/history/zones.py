"""Hours, days and weeks of local time, which may be shorter or longer than usual."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

MINUTE, HOUR, DAY = 60, 3600, 86400


class MachineZone(tzinfo):
    """The time zone of this machine, as its C library has it, past and future changes included.

    `zoneinfo` knows only zones by name, but TZ may hold their rules as well (``CET-1CEST,M3.5.0,
    M10.5.0/3``), and a small machine may have no list of zones.
    """

    def fromutc(self, moment: datetime) -> datetime:
        """Return a moment of UTC as local time."""
        utc = moment.replace(tzinfo=timezone.utc)
        local = datetime.fromtimestamp(utc.timestamp())  # noqa: DTZ006 (it is told which below)
        return local.replace(tzinfo=self)

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return the difference of local time to UTC."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return None: what part of the difference is daylight saving is not known."""

    def tzname(self, moment: datetime | None) -> str | None:
        """Return the zone's abbreviation."""
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()


def local(time: float, zone: tzinfo) -> datetime:
    """Return a UNIX time as a time of the zone."""
    if isinstance(zone, MachineZone):  # at once in C: exports have many of them
        return datetime.fromtimestamp(time, timezone.utc).astimezone()
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
