"""`history`."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.history import History, HistorySettings
from edgecount.watch.readings import Reading

BEGIN = datetime(2026, 5, 4, 12).astimezone()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a history of two hours of two cameras."""
    path = tmp_path / "history.sqlite"
    begin = BEGIN.timestamp()
    history = History(HistorySettings(path, minutes=36_000), wall=lambda: begin)
    history.open()
    for second in range(0, 7201, 5):
        for camera, count in (("door", 2.0), ("hall", 3.0)):
            numbers = (count, None, None, None, {}, {}, "good", False)
            history.reading(
                Reading(camera, begin + second, *numbers, SourceHealth(SourceState.LIVE))
            )
    history.close()
    return path


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_a_stretch_of_time_as_csv(run, file):
    chosen = ("--from", "2026-05-04 12:30", "--to", "2026-05-04T13:30")
    rows = table(run("history", file, *chosen).stdout)
    assert len(rows) == 120
    assert rows[0]["time"] == BEGIN.replace(minute=30).isoformat()
    assert {(row["camera"], row["mean"]) for row in rows} == {("door", "2.0"), ("hall", "3.0")}
    rows = table(run("history", file, *chosen, "--camera", "hall", "--what", "count").stdout)
    assert {row["camera"] for row in rows} == {"hall"}
    rows = table(run("history", file, "--from", "2026-05-04", "--by", "hours").stdout)
    assert [row["mean"] for row in rows if row["camera"] == "door"][:2] == ["2.0", "2.0"]
    assert table(run("history", file).stdout) == []  # nothing was counted in the last day


def test_what_makes_no_sense(run, file, tmp_path):
    result = run("history", file, "--from", "2026-05-05", "--to", "2026-05-04")
    assert result.exit_code == 2
    assert "--from must be before --to" in result.stderr
    for path, told in ((tmp_path / "none.sqlite", "no such file: "), (tmp_path, "expected a file")):
        result = run("history", path)  # as with the other commands
        assert result.exit_code == 1
        assert result.stderr.startswith(f"edgecount: error: {told}")
        assert str(path) in result.stderr
    assert not (tmp_path / "none.sqlite").exists()
    assert run("history", file, "--from", "yesterday").exit_code == 2
    (tmp_path / "text").write_text("no database " * 100)
    result = run("history", tmp_path / "text")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cannot read the history" in result.stderr


def test_a_stretch_without_counts_is_said(run, file):
    result = run("history", file, "--from", "2026-04-01", "--to", "2026-04-02 06:30")
    assert result.exit_code == 0
    assert table(result.stdout) == []
    expected = "no counts from 2026-04-01 00:00 to 2026-04-02 06:30: choose another time by --from"
    assert result.stderr.startswith(expected)
    some = run("history", file, "--from", "2026-05-04 12:30", "--to", "2026-05-04 13:30")
    assert some.stderr == ""


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (("--camera", "gate"), "--camera: expected one of door, hall, got gate"),
        (("--what", "region:bar"), "--what: expected one of count, got region:bar"),
        (("--camera", "hall", "--what", "smooth"), "--what: expected one of count, got smooth"),
        (("--from", "0001-01-01"), "--from: expected a year from 1971 to 9000"),
        (("--from", "1960-01-01"), "--from: expected a year from 1971 to 9000"),
        (("--to", "9999-12-31"), "--to: expected a year from 1971 to 9000"),
    ],
)
def test_what_the_file_does_not_have_is_refused(run, file, chosen, message):
    result = run("history", file, *chosen)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr


def test_the_file_of_another_program_is_refused(run, tmp_path):
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE guests (name TEXT)")
    result = run("history", path)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "other.sqlite is a database of another program, expected a history of edgecount" in line


def test_a_history_that_is_just_begun_is_empty(run, tmp_path):
    path = tmp_path / "new.sqlite"
    path.touch()
    result = run("history", path)
    assert result.exit_code == 0
    assert "no counts from" in result.stderr
