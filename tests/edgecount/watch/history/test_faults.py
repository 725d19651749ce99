"""Damaged, locked, full, deleted and foreign files: one line each, and counting goes on."""

import logging
import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest
from recorded import START, event, rows, write_minutes

from edgecount.errors import OutputError
from edgecount.watch.history import History, HistorySettings, schema
from edgecount.watch.sinks.base import SinkThread


def filled(open_history, minutes=3000):
    """Return a closed history of some minutes."""
    history = open_history()
    write_minutes(history, "count", {START + 60 * n: n % 100 / 7 for n in range(minutes)})
    history.close()
    return history


def overwrite(path, start, size):
    with path.open("r+b") as file:
        file.seek(start)
        file.write(np.random.default_rng(0).bytes(size))


DAMAGES = {
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut off in a page": lambda path: os.truncate(path, path.stat().st_size - 5000),
    "header": lambda path: overwrite(path, 0, 100),
    "a page": lambda path: overwrite(path, path.stat().st_size // 2 // 4096 * 4096, 4096),
    "all of it": lambda path: overwrite(path, 0, path.stat().st_size),
    "a text": lambda path: path.write_text("people: 12\n" * 500),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(open_history, take, caplog, damage):
    path = filled(open_history).path
    DAMAGES[damage](path)
    damaged = path.read_bytes()
    history = open_history()
    for _ in range(100):
        take(history, count=5.0)
    history.close()
    (line,) = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert "\n" not in line
    assert "is damaged" in line
    (aside,) = path.parent.glob("history.sqlite.damaged-*")
    assert aside.name in line
    assert aside.read_bytes() == damaged
    assert {one.mean for one in rows(history, "minutes")} == {5.0}


def test_two_damaged_files_in_the_same_second(open_history):
    path = filled(open_history, 10).path
    for _ in range(3):
        path.write_text("nonsense " * 200)
        open_history().close()
    assert len(list(path.parent.glob("history.sqlite.damaged-*"))) == 3


def test_damage_while_it_is_written(open_history, take):
    history = open_history()
    write_minutes(history, "count", {START - 60 * n: 1.0 for n in range(3000)})
    history._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(history.path, 0, history.path.stat().st_size)
    history._database.execute("PRAGMA shrink_memory")
    for _ in range(59):
        take(history, count=5.0)
    with pytest.raises(OutputError, match=r"was damaged and renamed to .*damaged-"):
        take(history, count=5.0)
    history.close()  # as the sink's thread does
    history.open()
    for _ in range(200):
        take(history, count=6.0)
    history.close()
    # What waited when the damage was noticed is in the new file.
    assert {one.mean for one in rows(history, "minutes")} >= {5.0, 6.0}


def test_an_empty_file_is_a_new_history(open_history, tmp_path):
    path = tmp_path / "history.sqlite"
    path.touch()
    assert open_history().known() == []
    assert not list(tmp_path.glob("*damaged*"))


def test_a_folder_or_a_pipe_in_its_place(open_history, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="folder: expected a file, got a folder"):
        open_history(tmp_path / "folder")
    with pytest.raises(OutputError, match="pipe is a FIFO: expected a regular file"):
        open_history(tmp_path / "pipe")
    (tmp_path / "text").write_text("")
    with pytest.raises(OutputError, match=r"cannot write .*text/history\.sqlite\.lock"):
        open_history(tmp_path / "text" / "history.sqlite")


def test_its_folder_is_made(open_history, tmp_path):
    open_history(tmp_path / "new" / "and below" / "history.sqlite").close()
    assert (tmp_path / "new" / "and below" / "history.sqlite").exists()


def test_names_that_mean_something_in_an_address(open_history, tmp_path, take):
    history = open_history(tmp_path / "50% of #1?mode=memory&.sqlite")
    take(history)
    take(history, 90)
    assert history.known() == [("door", "count")]


def test_a_database_of_another_program(open_history, tmp_path, caplog):
    path = tmp_path / "history.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
    whole = path.read_bytes()
    with pytest.raises(
        OutputError, match=r"is a database of another program, expected .*history\.path"
    ):
        open_history()
    assert path.read_bytes() == whole
    with pytest.raises(OutputError, match=r"is a database of another program"):
        History(HistorySettings(path)).known()


def test_a_newer_version_is_left_alone(open_history):
    path = filled(open_history, 10).path
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(OutputError) as refused:
        open_history()
    assert "is of a newer edgecount: expected tables of version 2 or older, got 9" in str(
        refused.value
    )
    assert not list(path.parent.glob("*damaged*"))


def test_an_older_version_is_brought_up_to_date(open_history, monkeypatch):
    path = filled(open_history, 10).path
    before = rows(History(HistorySettings(path)), "minutes")
    step = "ALTER TABLE events ADD COLUMN who TEXT;"
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, step))
    history = open_history()
    assert rows(history, "minutes") == before
    assert history._database.execute("PRAGMA user_version").fetchone() == (3,)


def test_units_of_events_of_an_older_version_are_found(tmp_path):
    path = tmp_path / "history.sqlite"
    details = [
        ("alarm", "hall: more than 4 people per square metre", "people/m2"),
        ("alarm", "the picture: surely more than 50 people", "people"),
        ("alarm", "the alarm is no longer in the config", None),
        ("camera", "no answer", None),
    ]
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"{schema.STEPS[0]} PRAGMA application_id = {schema.APPLICATION};")
        database.execute("PRAGMA user_version = 1")
        for number, (kind, detail, _) in enumerate(details):
            event = (str(number), 1.8e9 - number, "door", kind, "a", "raised", 1, 2, detail)
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", event)
        database.commit()
    history = History(HistorySettings(path))
    assert [one["unit"] for one in history.events()] == [None] * 4  # nobody has written it since
    history.open()
    assert [one["unit"] for one in history.events()] == [unit for *_, unit in details]
    history.close()


def test_a_version_that_cannot_be_brought_up_to_date_stays_as_it_is(open_history, monkeypatch):
    filled(open_history, 10)
    step = "ALTER TABLE events ADD COLUMN who TEXT; DELETE FROM missing;"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "STEPS", (*schema.STEPS, step))
        with pytest.raises(
            OutputError, match=r"cannot open the history .*: no such table: missing"
        ):
            open_history()
    history = open_history()
    columns = history._database.execute("PRAGMA table_info(events)").fetchall()
    assert "who" not in [name for _, name, *_ in columns]
    assert len(rows(history, "minutes")) == 10


def test_minutes_wait_while_the_disk_is_full(open_history, take, caplog):
    history = open_history()
    write_minutes(history, "count", {START - 60 * n: 1.0 for n in range(2000, 4000)})
    pages = history._database.execute("PRAGMA page_count").fetchone()[0]
    history._database.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(7200):
        take(history, 5, count=2.0)
        if number == 7000:
            history.event(event(START + 35_000))
    assert history.problem == "database or disk is full"
    assert history.backlog().error == history.problem
    assert history.backlog().waiting > 100
    full = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(full) == 1  # and not one for each minute
    assert "cannot be written now: database or disk is full" in full[0].getMessage()

    history._database.execute("PRAGMA max_page_count = 1000000")
    for _ in range(10):
        take(history, 5, count=2.0)
    assert (history.problem, history.backlog().error, history.lost) == (None, None, 0)
    minutes = [one for one in rows(history, "minutes") if one.time > START]
    assert [one.time for one in minutes] == list(range(START + 60, START + 36_000, 60))
    assert all(one.seconds == 60.0 and one.mean == 2.0 for one in minutes)
    assert [one["name"] for one in history.events()] == ["crowded"]


def test_what_waits_is_bounded_and_counted(open_history, take, monkeypatch):
    monkeypatch.setattr("edgecount.watch.history.sink._MOST", 20)
    history = open_history()
    pages = history._database.execute("PRAGMA page_count").fetchone()[0]
    history._database.execute(f"PRAGMA max_page_count = {pages}")
    write = history._store.put_part
    monkeypatch.setattr(history._store, "put_part", lambda *part: fail())

    def fail():
        raise sqlite3.OperationalError("database or disk is full")

    for _ in range(100):
        take(history, 60)
    assert len(history._waiting) <= 21
    assert history.lost == history.backlog().dropped >= 70
    monkeypatch.setattr(history._store, "put_part", write)


@contextmanager
def small_disk(folder, size):
    """Mount a file system of a size, as far as that is allowed here."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full(open_history, take, tmp_path):
    with small_disk(tmp_path / "disk", "400k") as disk:
        history = open_history(disk / "history.sqlite")
        (disk / "ballast").write_bytes(b"0" * 100_000)
        number = 0
        while not history.problem:
            take(history, 30, count=3.0, regions={f"r{one}": 1.0 for one in range(20)})
            number += 1
            assert number < 5000
        for _ in range(50):
            take(history, 30, count=3.0, regions={f"r{one}": 1.0 for one in range(20)})
        assert history.problem in ("database or disk is full", "disk I/O error")
        assert History(HistorySettings(history.path)).known()  # and can be read
        (disk / "ballast").unlink()
        for _ in range(3):
            take(history, 30, count=3.0)
        assert history.problem is None
        minutes = rows(history, "minutes")
        assert [one.time for one in minutes] == list(range(START, minutes[-1].time + 60, 60))
        history.close()
        with closing(sqlite3.connect(history.path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_minutes_wait_while_another_program_locks_the_file(open_history, take, monkeypatch):
    monkeypatch.setattr("edgecount.watch.history.database._SHORT_WAIT", 10)
    history = open_history()
    with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(200):
            take(history, count=2.0)
        assert history.problem == "database is locked"
        assert history.series("door", "count", START, START + 60)["mean"] == [None]
        other.execute("ROLLBACK")
    for _ in range(60):
        take(history, count=2.0)
    assert history.problem is None
    assert [one.time for one in rows(history, "minutes")] == [START + 60 * n for n in range(4)]


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_the_file_goes_away_while_it_is_open(open_history, take, tmp_path, caplog, how):
    history = open_history()
    gate = 0
    for _ in range(300):
        gate += 1
        take(history, count=1.0, lines={"gate": (float(gate), 0.0, float(START))})
    elsewhere = tmp_path / "elsewhere.sqlite"
    if how == "deleted":
        history.path.unlink()
    else:
        history.path.rename(elsewhere)
    if how == "replaced":
        history.path.touch()
    for _ in range(300):
        gate += 1
        take(history, count=2.0, lines={"gate": (float(gate), 0.0, float(START))})
    history.close()
    assert "was deleted or replaced while it was open" in caplog.text
    minutes = rows(history, "minutes")
    assert minutes[-1].mean == 2.0
    assert [one.time for one in minutes] == list(range(minutes[0].time, START + 601, 60))
    # Counts of lines go on: those of the lost file are not counted again.
    assert sum(one.into for one in rows(history, "minutes", "line:gate")) <= 361
    if how == "moved":
        with closing(sqlite3.connect(elsewhere)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM minutes").fetchone()[0] >= 4


def test_the_folder_goes_away_while_it_is_open(open_history, take, tmp_path):
    history = open_history(tmp_path / "usb" / "history.sqlite")
    for _ in range(100):
        take(history)
    shutil.rmtree(tmp_path / "usb")
    for _ in range(100):
        take(history)
    history.close()
    assert len(rows(history, "minutes")) >= 2


def test_the_second_of_two_histories_is_refused(open_history):
    first = open_history()
    with pytest.raises(OutputError, match="is written by another process"):
        open_history()
    first.close()
    open_history().close()


def test_a_service_goes_on_after_damage_that_a_question_meets(tmp_path, until):
    history = History(HistorySettings(tmp_path / "history.sqlite"))
    thread = SinkThread(history)
    try:
        thread.put(event(time.time(), name="before"))
        until(lambda: thread.health().delivered)
        history._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        overwrite(history.path, 0, history.path.stat().st_size)
        with pytest.raises(OutputError, match="file is not a database"):
            history.events()
        thread.put(event(time.time(), name="after"))
        until(lambda: thread.health().delivered == 2)
        assert [one["name"] for one in history.events()] == ["after"]
        assert thread.health().is_open
    finally:
        thread.close()
    assert list(tmp_path.glob("*damaged*"))


def test_the_health_of_the_sink_says_why_minutes_wait(tmp_path, until):
    history = History(HistorySettings(tmp_path / "history.sqlite"))
    thread = SinkThread(history)
    try:
        until(lambda: thread.health().is_open)
        with closing(sqlite3.connect(history.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            thread.put(event(time.time()))
            until(lambda: thread.health().delivered == 1)  # taken, though not written yet
            health = thread.health()
            assert (health.error, health.waiting, health.is_open) == ("database is locked", 1, True)
            other.execute("ROLLBACK")
        history._retry = 0.0  # it would be tried again after some seconds
        until(lambda: thread.health().error is None)
        assert len(history.events()) == 1
    finally:
        thread.close()
