"""Deletion of old data, and events."""

import sqlite3
from contextlib import closing

import pytest
from recorded import START, event, rows, write_minutes

from edgecount.watch.history.zones import DAY, HOUR


def fill(history, days, every=600):
    """Write some minutes of each hour for so many days before the start."""
    begin = START // DAY * DAY - days * DAY
    write_minutes(history, "count", dict.fromkeys(range(begin, START - 120, every), 1.0))


def run_hours(history, clock, hours):
    """Let so many hours pass in which nothing is counted."""
    for _ in range(hours):
        clock.pass_(HOUR)
        history.idle()


def oldest(history, table):
    return min(one.time for one in rows(history, table))


def test_minutes_go_and_hours_and_days_stay(open_history, clock):
    history = open_history(minutes=5, hours=20, days=40)
    fill(history, 60)
    hours, days = rows(history, "hours"), rows(history, "days")
    history.event(event(START - 30 * DAY))
    history.event(event(START - 10 * DAY))
    run_hours(history, clock, 70)
    now = clock.now
    for table, kept in (("minutes", 5), ("hours", 20), ("days", 40)):
        assert now - (kept + 2) * DAY < oldest(history, table)
        assert oldest(history, table) >= now - kept * DAY - HOUR
    # What is left of them is what it was when all of their minutes were there.
    assert set(rows(history, "hours")) < set(hours)
    assert set(rows(history, "days")) < set(days)
    assert [one["time"] for one in history.events()] == ["2025-06-05T15:07:00.000Z"]


def test_old_stretches_are_shown_by_what_is_kept_of_them(open_history, clock):
    history = open_history(minutes=5, hours=20, days=40)
    fill(history, 60)
    run_hours(history, clock, 70)
    now = clock.now
    for ago, step in ((4, 60), (10, HOUR), (30, DAY)):
        series = history.series("door", "count", now - ago * DAY, now - (ago - 1) * DAY, 1440)
        assert series["step"] == step
        known = [one for one in series["mean"] if one is not None]
        assert known
        assert set(known) == {1.0}
    text = "".join(history.export(now - 30 * DAY, now, camera="door", what="count"))
    assert 25 <= len(text.splitlines()) - 1 <= 28  # days reach back so far


def test_no_more_than_a_day_is_deleted_at_once(open_history, clock):
    history = open_history(minutes=5, hours=20, days=40)
    fill(history, 60)
    before = oldest(history, "minutes")
    history.idle()
    for hour in range(1, 5):
        assert oldest(history, "minutes") == before + hour * DAY
        run_hours(history, clock, 1)


def test_the_file_grows_no_further_once_as_much_is_deleted_as_comes(open_history, clock):
    history = open_history(minutes=2, hours=4, days=8)
    sizes = []
    for _ in range(24):
        day = {int(clock.now) // 60 * 60 + 60 * n: 1.5 for n in range(0, 1440, 2)}
        write_minutes(history, "count", day)
        run_hours(history, clock, 24)
        sizes.append(history._database.execute("PRAGMA page_count").fetchone()[0])
    assert max(sizes[8:]) <= 1.1 * max(sizes[:8])
    assert len(rows(history, "hours")) <= 6 * 25
    assert len(rows(history, "days")) <= 10


def test_a_clock_that_jumps_ahead_deletes_nothing_at_first(open_history, clock):
    history = open_history(minutes=5)
    fill(history, 5)
    history.idle()
    whole = len(rows(history, "minutes"))
    clock.now += 4000 * DAY
    run_hours(history, clock, 3)
    assert len(rows(history, "minutes")) == whole
    clock.now -= 4000 * DAY
    run_hours(history, clock, 3)
    assert len(rows(history, "minutes")) == whole


def test_a_clock_that_is_wrong_at_the_start_deletes_nothing_at_first(open_history, clock):
    history = open_history(minutes=5)
    fill(history, 5)
    history.close()
    clock.now += 4000 * DAY
    again = open_history(minutes=5)
    whole = len(rows(again, "minutes"))
    run_hours(again, clock, 3)
    assert len(rows(again, "minutes")) == whole
    run_hours(again, clock, 24 * 7)  # it was right: nothing was counted for years
    assert rows(again, "minutes") == []


def test_a_service_that_runs_by_day_deletes_what_is_old(open_history, clock):
    history = open_history(minutes=5)
    fill(history, 60)
    before = oldest(history, "minutes")
    for _ in range(20):
        history.close()
        clock.pass_(16 * HOUR)
        history = open_history(minutes=5)
        write_minutes(history, "count", {int(clock.now) // 60 * 60: 1.0})
        run_hours(history, clock, 8)
    assert oldest(history, "minutes") >= before + 55 * DAY


def test_minutes_from_a_clock_that_ran_ahead_stop_no_deletion(open_history, clock):
    history = open_history(minutes=5)
    fill(history, 60)
    write_minutes(history, "count", {START + 3000 * DAY: 9.0})
    history.close()
    again = open_history(minutes=5)
    before = oldest(again, "minutes")
    run_hours(again, clock, 3)
    assert oldest(again, "minutes") > before


def test_deleting_holds_up_no_writer_for_long(open_history, clock, take):
    history = open_history(minutes=2)
    for camera in ("door", "hall", "gate"):
        begin = START - 20 * DAY
        write_minutes(history, "count", {begin + 60 * n: 1.0 for n in range(5000)}, camera)
    steps = []
    history._database.set_progress_handler(lambda: steps.append(1), 1000)
    history.idle()
    assert len(steps) < 3 * 1440  # some thousand steps of SQLite a row would be too many
    take(history)
    take(history, 60)
    assert len(rows(history, "minutes")) > 0


def test_events_do_not_grow_for_ever(open_history, clock, monkeypatch):
    monkeypatch.setattr("edgecount.watch.history.store._EVENTS", 50)
    history = open_history()
    for number in range(300):
        history.event(event(START + number, "raised" if number % 2 else "cleared"))
    run_hours(history, clock, 2)
    found = history.events()
    assert len(found) == 50
    assert found[0]["time"] == "2025-06-15T15:11:59.000Z"
    assert found[-1]["time"] == "2025-06-15T15:11:10.000Z"


def test_events_are_found_by_camera_and_time(open_history):
    history = open_history()
    for number in range(20):
        history.event(event(START + number, camera=("door", "hall")[number % 2], name=f"{number}"))
    assert [one["name"] for one in history.events("hall", START + 5, START + 11)] == ["9", "7", "5"]
    assert [one["name"] for one in history.events(limit=2)] == ["19", "18"]
    assert history.events("nowhere") == []


def test_an_event_that_comes_twice_is_kept_once(open_history):
    history = open_history()
    one = event(START, count=5.5, peak=7.25, detail="more than 5 people")
    history.event(one)
    history.event(one)
    assert history.events() == [{**one.to_dict(), "acknowledged": None}]


def test_an_acknowledgement_marks_the_alarm_that_was_raised(open_history):
    history = open_history()
    history.event(event(START))
    history.event(event(START + 10, camera="hall"))
    history.event(event(START + 20, name="empty"))
    history.event(event(START + 30, "cleared"))
    history.event(event(START + 40))
    history.event(event(START + 50, "acknowledged"))
    history.event(event(START + 55, "acknowledged"))
    marked = [one for one in history.events() if one["acknowledged"]]
    assert [(one["time"], one["acknowledged"]) for one in marked] == [
        ("2025-06-15T15:07:40.000Z", "2025-06-15T15:07:50.000Z")
    ]


def test_an_acknowledgement_without_an_alarm(open_history):
    history = open_history()
    history.event(event(START, "acknowledged"))
    assert [one["acknowledged"] for one in history.events()] == [None]


def test_the_file_is_one_that_plain_sqlite_reads(open_history):
    history = open_history()
    write_minutes(history, "count", {START: 2.0, START + 60: 4.0})
    history.close()
    with closing(sqlite3.connect(history.path)) as database:
        (found,) = database.execute(
            "SELECT datetime(time, 'unixepoch'), mean FROM hours "
            "JOIN series ON id = series WHERE camera = 'door' AND what = 'count'"
        ).fetchall()
    assert found == ("2025-06-15 15:00:00", pytest.approx(3.0))


def test_hours_follow_their_minutes_every_ten_minutes(open_history, clock, take):
    history = open_history()

    def readings():
        with closing(sqlite3.connect(history.path)) as database:
            query = "SELECT (SELECT sum(readings) FROM minutes), (SELECT sum(readings) FROM hours)"
            return database.execute(query).fetchone()

    for _ in range(540):
        take(history)
    in_minutes, in_hours = readings()
    assert (in_minutes > 400, in_hours) == (True, None)
    for _ in range(180):
        take(history)
    in_minutes, in_hours = readings()
    assert 0 < in_minutes - in_hours <= 120


def test_hours_that_a_kill_left_behind_are_made_at_the_next_start(open_history, clock, take):
    history = open_history()
    for _ in range(200):
        take(history)
    history._close_database()  # as a kill does: nothing is brought to its end
    again = open_history()
    with closing(sqlite3.connect(again.path)) as database:
        for table in ("minutes", "hours", "days"):
            (found,) = database.execute(f"SELECT sum(readings) FROM {table}").fetchone()  # noqa: S608
            assert found == 179  # the minute that it was in is lost


def test_a_series_that_ended_long_ago_is_shown_by_what_is_kept_of_it(open_history, clock):
    history = open_history(minutes=5, hours=20, days=40)
    begin = START // DAY * DAY - 10 * DAY
    write_minutes(history, "count", dict.fromkeys(range(begin, begin + 3 * HOUR, 60), 1.0))
    run_hours(history, clock, 2)
    for gone, step, rows_there in ((0, HOUR, 3), (15 * 24, DAY, 1)):
        run_hours(history, clock, gone)
        assert not rows(history, "minutes")
        series = history.series("door", "count", begin, begin + DAY, 500)
        assert series["step"] == step
        assert [one for one in series["mean"] if one is not None] == [1.0] * rows_there
        text = "".join(history.export(begin, begin + DAY, camera="door", what="count"))
        assert len(text.splitlines()) == 1 + rows_there
    # It keeps nothing from the minutes of one that goes on.
    write_minutes(history, "smooth", {int(clock.now) // 60 * 60 - 120: 2.0})
    day = history.export(clock.now - HOUR, clock.now)
    assert len("".join(day).splitlines()) == 2
