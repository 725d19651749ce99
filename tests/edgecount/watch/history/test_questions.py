"""Answers to the page, over data that is known: minutes to months, weeks and the busiest hours."""

import csv
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from recorded import START, berlin, event, rows, write_minutes

from edgecount.watch.history.zones import DAY, HOUR, local

BERLIN = ZoneInfo("Europe/Berlin")


def whole(history, points, start, end):
    """Return seconds, min, mean and max of a stretch, from a series of so many points."""
    series = history.series("door", "count", start, end, points)
    known = [place for place, seconds in enumerate(series["seconds"]) if seconds]
    weights = np.array([series["seconds"][place] for place in known])
    means = np.array([series["mean"][place] for place in known])
    assert len(series["time"]) == len(series["mean"]) == len(series["into"])
    assert all(series["mean"][p] is None for p in range(len(series["mean"])) if p not in known)
    return (
        weights.sum(),
        min(series["min"][place] for place in known),
        (weights * means).sum() / weights.sum(),
        max(series["max"][place] for place in known),
    )


def test_the_mean_is_the_same_at_any_number_of_points(open_history):
    chance, history = np.random.default_rng(5), open_history(zone=BERLIN)
    start = berlin(2026, 3, 27)  # the clocks change in between
    minutes = {
        start + 60 * n: float(chance.gamma(2, 10)) for n in range(4 * 1440) if n // 100 % 7 != 3
    }
    write_minutes(history, "count", minutes)
    values = np.array(list(minutes.values()))
    expected = len(values) * 60, values.min(), values.mean(), values.max()
    for points in (1, 2, 3, 4, 7, 10, 24, 50, 97, 200, 600, 1440, 5000, 10_000):
        found = whole(history, points, start, start + 4 * DAY)
        assert found == pytest.approx(expected, abs=2e-3), points


@pytest.mark.parametrize(
    ("span", "points", "step"),
    [
        (HOUR, 60, 60),
        (DAY, 300, 300),
        (7 * DAY, 400, 1800),
        (31 * DAY, 800, HOUR),
        (366 * DAY, 400, DAY),
        (366 * DAY, 60, 7 * DAY),
    ],
)
def test_steps_from_minutes_to_months(open_history, span, points, step):
    history = open_history(zone=BERLIN)
    end = berlin(2026, 11, 20, 15)
    series = history.series("door", "count", end - span, end, points)
    assert series["step"] == step
    assert 0.4 * points < len(series["time"]) <= points
    assert series["time"][0] <= end - span
    first = local(series["time"][0], BERLIN)
    assert first.timestamp() % min(step, HOUR) == 0
    if step >= DAY:
        assert {local(time, BERLIN).hour for time in series["time"]} == {0}
    if step == 7 * DAY:
        assert {local(time, BERLIN).weekday() for time in series["time"]} == {0}


@pytest.mark.parametrize(("date", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_days_with_another_number_of_hours(open_history, date, hours):
    history = open_history(zone=BERLIN)
    start = berlin(*date)
    write_minutes(history, "count", {start + 60 * n: 3.0 for n in range(hours * 60)})
    write_minutes(history, "line:gate", {start + 60 * n: (1.0, 0.0) for n in range(hours * 60)})
    (day,) = rows(history, "days")
    assert (day.time, day.seconds, day.mean) == (start, hours * HOUR, 3.0)
    (gate,) = rows(history, "days", "line:gate")
    assert gate.into == hours * 60
    assert len(rows(history, "hours")) == hours
    series = history.series("door", "line:gate", start, start + hours * HOUR, 1)
    assert (series["step"], series["into"]) == (DAY, [hours * 60.0])


def by_hour(moment):
    """Return how many people there are in an hour of the week."""
    return 24.0 * moment.weekday() + moment.hour


def fill_weeks(history, start, end, value=by_hour, minutes=(0, 20, 40)):
    """Write a third of each hour, which is enough for it to be counted."""
    found = {}
    for hour in range(start, end, HOUR):
        for minute in range(20):
            found[hour + 60 * minute] = value(local(hour, BERLIN))
    write_minutes(history, "count", found)


def test_hours_of_the_week_over_a_change_of_the_clocks(open_history):
    history = open_history(zone=BERLIN)
    now = berlin(2026, 11, 4, 12, 30)  # a Wednesday
    fill_weeks(history, berlin(2026, 9, 7), now)  # a Monday
    found = history.patterns("door", "count", now=now)
    assert found["hours"] == [[24.0 * day + hour for hour in range(24)] for day in range(7)]
    counted = [
        [8 + (day < 2 or (day == 2 and hour <= 12)) for hour in range(24)] for day in range(7)
    ]
    # This hour has had 20 minutes; the hour that came twice on 25 October is of one week.
    assert found["weeks_counted"] == counted
    usual = [(one["weekday"], one["hour"], one["mean"]) for one in found["usual"]]
    assert usual == [(6, hour, 144.0 + hour) for hour in (23, 22, 21, 20, 19)]
    this = [float(hour) if hour <= 60 else None for hour in range(168)]
    assert found["weeks"] == {"this": this, "last": [float(hour) for hour in range(168)]}
    assert found["same_hours"] == {"this": 30.0, "last": 30.0}


def test_the_hour_that_the_clocks_skip_is_unknown(open_history):
    history = open_history(zone=BERLIN)
    now = berlin(2026, 3, 31, 10)
    fill_weeks(history, berlin(2026, 3, 23), now)
    found = history.patterns("door", "count", weeks=1, now=now)
    last = found["weeks"]["last"]
    assert last[6 * 24 + 2] is None
    assert [hour for hour, value in enumerate(last) if value is None] == [6 * 24 + 2]
    assert found["hours"][6][1:4] == [145.0, None, 147.0]


def test_a_week_begins_on_monday_of_local_time(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    assert datetime.fromtimestamp(monday, ZoneInfo("UTC")).weekday() == 6
    fill_weeks(history, monday - 2 * DAY, monday + HOUR)
    found = history.patterns("door", "count", now=monday + HOUR)
    assert found["weeks"]["this"][:2] == [0.0, None]
    assert found["weeks"]["last"][-1] == 167.0


def test_this_week_is_compared_over_the_hours_that_both_have(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    fill_weeks(history, monday - 7 * DAY, monday - 5 * DAY, lambda _: 10.0)
    fill_weeks(history, monday, monday + DAY, lambda _: 15.0)
    found = history.patterns("door", "count", now=monday + 3 * DAY)
    assert found["same_hours"] == {"this": 15.0, "last": 10.0}
    nothing = history.patterns("door", "smooth", now=monday + 3 * DAY)
    assert nothing["same_hours"] == {"this": None, "last": None}
    assert nothing["hours"] == [[None] * 24] * 7


def test_the_busiest_hours(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    fill_weeks(history, monday, monday + DAY, lambda _: 1.0)
    busy = {monday + hour * HOUR: 30.0 + hour for hour in (3, 9, 11)}
    for hour, value in busy.items():
        write_minutes(history, "count", {hour + 60 * n: value for n in range(20, 60)})
    found = history.patterns("door", "count", now=monday + DAY)["busiest"]
    assert [one["hour"] - monday for one in found[:3]] == [11 * HOUR, 9 * HOUR, 3 * HOUR]
    assert found[0] == {
        "hour": monday + 11 * HOUR,
        "mean": pytest.approx((20 + 41 * 40) / 60, abs=1e-3),
        "max": 41.0,
    }


def test_hours_of_a_line_are_people_who_went_in(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    write_minutes(history, "line:gate", {monday + 60 * n: (2.0, 1.0) for n in range(120)})
    found = history.patterns("door", "line:gate", now=monday + DAY)
    assert found["hours"][0][:3] == [120.0, 120.0, None]
    assert found["busiest"][0] == {"hour": monday, "mean": 120.0, "max": None}


def test_an_hour_of_a_line_that_is_not_over_counts_at_its_pace(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    minutes = {monday + 60 * n: (1.0, 0.0) for n in range(7 * 24 * 60 + 20)}
    write_minutes(history, "line:gate", minutes)
    found = history.patterns("door", "line:gate", now=monday + 7 * DAY + 20 * 60)
    assert found["same_hours"] == {"this": 60.0, "last": 60.0}
    assert found["hours"][0][0] == 60.0


def test_an_hour_with_a_few_minutes_is_none(open_history):
    history = open_history(zone=BERLIN)
    monday = berlin(2026, 6, 15)
    write_minutes(history, "count", {monday + 60 * n: 5.0 for n in range(14)})
    write_minutes(history, "count", {monday + HOUR + 60 * n: 5.0 for n in range(15)})
    found = history.patterns("door", "count", now=monday + DAY)
    assert found["hours"][0][:2] == [None, 5.0]


def table(history, start, end, **chosen):
    text = "".join(history.export(start, end, **chosen))
    return list(csv.DictReader(text.splitlines()))


def test_an_export_has_local_times_with_their_offsets(open_history):
    history = open_history(zone=BERLIN)
    start = berlin(2026, 10, 25)
    write_minutes(history, "count", {start + 60 * n: 3.25 for n in range(25 * 60)})
    found = table(history, start, start + DAY + HOUR, resolution="hours")
    assert [row["time"] for row in found[1:5]] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    assert [datetime.fromisoformat(row["time"]).timestamp() for row in found] == [
        start + HOUR * n for n in range(25)
    ]
    assert found[0] == {
        "time": "2026-10-25T00:00:00+02:00",
        "camera": "door",
        "what": "count",
        "seconds": "3600.0",
        "readings": "3600",
        "min": "3.25",
        "mean": "3.25",
        "max": "3.25",
        "p95": "3.25",
        "low": "",
        "high": "",
        "in": "",
        "out": "",
    }
    assert len(table(history, start, start + 120)) == 2
    (day,) = table(history, start, start + DAY, resolution="days")
    assert (day["time"], day["seconds"]) == ("2026-10-25T00:00:00+02:00", "90000.0")


def test_an_export_is_of_what_is_asked_for(open_history):
    history = open_history()
    for camera in ("door", "hall"):
        for what in ("count", "region:a"):
            write_minutes(history, what, {START + 60 * n: 1.0 for n in range(2500)}, camera)
    everything = table(history, 0, 2e9)
    assert len(everything) == 10_000
    assert len({tuple(row.values()) for row in everything}) == 10_000
    assert len(table(history, 0, 2e9, camera="hall")) == 5000
    assert len(table(history, 0, 2e9, camera="hall", what="region:a")) == 2500
    assert len(table(history, START + 60, START + 180, camera="door", what="count")) == 2
    assert table(history, 0, 2e9, camera="nowhere") == []


HOSTILE = [
    "it's",
    'a "quoted" one',
    "O'; DROP TABLE minutes; --",
    "Bühne 東 \U0001f600",
    "one,two;three",
    "two\nlines",
    "=1+1|cmd",
    "%_*?",
    "n" * 5000,
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(open_history, take, name):
    history = open_history()
    for number in range(130):
        lines = {name: (float(number), 0.0, float(START))}
        take(history, camera=name or "x", regions={name: 2.0}, lines=lines)
    history.event(event(START, camera=name or "x", name=name))
    camera = name or "x"
    assert (camera, f"region:{name}") in history.known()
    assert history.series(camera, f"region:{name}", START, START + 60, 1)["mean"] == [2.0]
    assert history.series(camera, f"line:{name}", START, START + 60, 1)["into"] == [59.0 - 1]
    assert history.events(camera)[0]["name"] == name
    text = "".join(history.export(0, 2e9, camera=camera, what=f"region:{name}"))
    found = list(csv.DictReader(text.splitlines()))
    assert {row["what"] for row in found} == {f"region:{name}".replace("\n", " ")}
    history.close()
    assert open_history().known()


@pytest.mark.parametrize("name", ["=1+1|cmd", "+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_an_export_holds_nothing_that_spreadsheets_run(open_history, name):
    history = open_history()
    write_minutes(history, "count", {START: 1.0}, camera=name)
    write_minutes(history, name, {START: 1.0})
    for row in table(history, 0, 2e9):
        assert "'" + name in (row["camera"], row["what"])


def test_names_with_bytes_that_are_no_text(open_history):
    history = open_history()
    write_minutes(history, "region:a\udcff", {START: 1.0})
    history.event(event(START, name="b\udcff", detail="c\udcff"))
    assert history.problem is None
    assert history.known() == [("door", r"region:a\xff")]
    "".join(history.export(0, 2e9)).encode()
    assert history.events()[0]["name"] == r"b\xff"
