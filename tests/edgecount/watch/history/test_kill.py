"""The history of a process that is killed, and as another process sees it meanwhile."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import timezone
from pathlib import Path

import numpy as np
import pytest
from recorded import START, rows

from edgecount.errors import OutputError
from edgecount.watch.history import History, HistorySettings

_HERE = Path(__file__).parent


@contextmanager
def writing(path, first=START, pace=0):
    """Start a process that writes the history, and wait until it does; killed in the end."""
    code = f"import sys; sys.path.insert(0, {str(_HERE)!r}); import writer; writer.main()"
    command = [sys.executable, "-c", code, str(path), str(first), str(pace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def last_taken(process):
    """Return the time of the last reading that a killed process had written."""
    return max(int(line) for line in process.stdout.read().split(b"\n")[:-1])


@pytest.mark.parametrize("seed", range(2))
def test_all_but_the_minute_in_progress_is_there_after_kills(tmp_path, seed):
    path, chance = tmp_path / "history.sqlite", np.random.default_rng(seed)
    first, runs = START, []
    for _ in range(4):
        with writing(path, first) as process:
            time.sleep(chance.uniform(0.05, 0.4))  # any moment will do
            process.kill()
            runs.append((first, last_taken(process)))
        first = runs[-1][1] + int(chance.integers(1, 200))
    history = History(
        HistorySettings(path), timezone.utc, wall=lambda: first, monotonic=lambda: first
    )
    history.open()
    history.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    minutes = {one.time: one for one in rows(history, "minutes")}
    gate = {one.time: one for one in rows(history, "minutes", "line:gate")}
    for begin, end in runs:
        whole = range(-(-begin // 60) * 60, end // 60 * 60, 60)
        for minute in whole:
            span = minutes[minute]
            assert (span.seconds, span.readings, span.min, span.max, span.mean) == (
                *(60.0, 60, minute // 60 % 50, minute // 60 % 50 + 1),
                pytest.approx(minute // 60 % 50 + 0.5),
            )
            assert gate[minute].into > 0
    # Nobody who crossed before the last whole minute is missing, also of those between two runs.
    last = runs[-1][1] // 60 * 60
    people = sum(one.into for one in gate.values())
    assert (last - 1 - START) // 5 <= people <= (runs[-1][1] - START) // 5
    for table in ("hours", "days"):
        for what in ("count", "region:hall", "line:gate"):
            whole, parts = rows(history, table, what), rows(history, "minutes", what)
            assert sum(one.readings for one in whole) == sum(one.readings for one in parts)
            assert sum(one.seconds for one in whole) == pytest.approx(
                sum(one.seconds for one in parts)
            )
    told = {one["name"] for one in history.events(limit=10_000)}
    for begin, end in runs:
        assert told >= {f"at {now}" for now in range(begin, end) if now % 60 == 30}


def test_another_process_reads_while_one_writes(tmp_path):
    path = tmp_path / "history.sqlite"
    reader = History(HistorySettings(path), timezone.utc)
    with writing(path):
        seen = 0
        while seen < 50:
            text = "".join(reader.export(0, 2e9, camera="door", what="count", resolution="minutes"))
            lines = text.splitlines()
            assert lines[0].startswith("time,camera,what,")
            # The rows are whole, one after the other, and none is lost.
            assert all(line.count(",") == 12 and ",60.0,60," in line for line in lines[1:])
            assert len(lines) - 1 >= seen
            seen = len(lines) - 1
            reader.series("door", "count", START, START + 86_400)
    # What a killed process leaves is read without a service that puts it in order first.
    text = "".join(reader.export(0, 2e9, camera="door", what="count", resolution="minutes"))
    assert len(text.splitlines()) - 1 >= seen


def test_a_second_service_is_told_who_writes(tmp_path):
    path = tmp_path / "history.sqlite"
    with writing(path, pace=100) as process:
        second = History(HistorySettings(path), timezone.utc)
        with pytest.raises(OutputError) as refused:
            second.open()
        assert str(refused.value) == (
            f"the history {path} is written by another process ({process.pid}): end that one, or "
            "set history.path to another file"
        )
        second.close()
        process.kill()
        process.wait()
        second.open()
        second.close()
