"""`history`."""

from __future__ import annotations

import csv
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
    assert run("history", tmp_path / "none.sqlite").exit_code == 2
    assert run("history", file, "--from", "yesterday").exit_code == 2
    (tmp_path / "text").write_text("no database " * 100)
    result = run("history", tmp_path / "text")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cannot read the history" in result.stderr
