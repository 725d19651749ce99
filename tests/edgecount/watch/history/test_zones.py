"""The machine's time zone beside Python's list of zones."""

import time
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from edgecount.watch.history.zones import (
    HOUR,
    MachineZone,
    day_start,
    hour_start,
    local,
    week_start,
)

HOURS = range(1_767_225_600, 1_767_225_600 + 400 * 86_400, 1800)  # from 2026 on


@pytest.fixture
def machine_zone(monkeypatch):
    def set_(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()
        return MachineZone()

    yield set_
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
        (":America/New_York", "America/New_York"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("America/Santiago", "America/Santiago"),  # whose clocks change at midnight
        ("UTC", "UTC"),
        ("No/Where", "UTC"),
    ],
)
def test_it_is_that_of_the_c_library(machine_zone, name, same_as):
    zone, known = machine_zone(name), ZoneInfo(same_as)
    for moment in HOURS:
        here, there = datetime.fromtimestamp(moment, zone), local(moment, known)
        assert (here.isoformat(), here.fold) == (there.isoformat(), there.fold)
        assert here.timestamp() == moment
        assert local(moment, zone).isoformat() == there.isoformat()
    for moment in HOURS[::37]:
        for start in (hour_start, day_start, week_start):
            assert start(moment, zone) == start(moment, known)
    if name == same_as:
        assert local(HOURS[0], zone).tzname() == local(HOURS[0], known).tzname()


def test_days_of_23_and_25_hours():
    zone = ZoneInfo("Europe/Berlin")
    for date, hours in (((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)):
        noon = datetime(*date, 12, tzinfo=zone).timestamp()
        assert day_start(noon, zone, 1) - day_start(noon, zone) == hours * HOUR
        assert local(day_start(noon, zone), zone).isoformat()[11:16] == "00:00"
        assert local(week_start(noon, zone), zone).weekday() == 0


def test_a_day_that_begins_an_hour_late():
    zone = ZoneInfo("America/Santiago")
    begin = datetime(2026, 9, 6, 4, tzinfo=timezone.utc)  # local 01:00: there is no 00:00
    for after in (timedelta(), timedelta(hours=5), timedelta(hours=22)):
        assert day_start((begin + after).timestamp(), zone) == begin.timestamp()
    before = begin.timestamp() - 1
    assert day_start(before, zone, 1) == begin.timestamp()


def test_hours_of_a_zone_that_is_off_by_half_an_hour():
    zone = ZoneInfo("Asia/Kolkata")
    assert local(hour_start(HOURS[5], zone), zone).minute == 0
