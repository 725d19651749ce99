"""Questions that make no sense or find no history, and exports that others read."""

import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from recorded import START, write_minutes

from edgecount.errors import ConfigError, OutputError
from edgecount.watch.history import History, HistorySettings


def test_questions_about_a_file_that_is_none(tmp_path):
    path = tmp_path / "history.sqlite"
    history = History(HistorySettings(path))
    assert history.known() == history.events() == []
    assert len(list(history.export(0, 1))) == 1
    assert history.series("door", "count", 0, 600, 10)["mean"] == [None] * 10
    assert history.patterns("door", "count")["busiest"] == []
    path.write_text("nothing of the kind " * 100)
    for ask in (
        history.known,
        history.events,
        lambda: list(history.export(0, 1)),
        lambda: history.series("door", "count", 0, 600, 10),
        lambda: history.patterns("door", "count"),
    ):
        with pytest.raises(
            OutputError, match=r"cannot read the history .*: file is not a database"
        ):
            ask()
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match="cannot read the history"):
        history.known()


@pytest.mark.parametrize(
    "ask",
    [
        lambda history: history.series("door", "count", 5, 5),
        lambda history: history.series("door", "count", 9, 5),
        lambda history: history.series("door", "count", -1, 5),
        lambda history: history.series("door", "count", float("nan"), 5),
        lambda history: history.series("door", "count", 1, float("inf")),
        lambda history: history.series("door", "count", 1, 5, 0),
        lambda history: history.series("door", "count", 1, 5, 10_001),
        lambda history: history.patterns("door", "count", 0),
        lambda history: history.events(limit=0),
        lambda history: history.export(1, 5, resolution="years"),
    ],
)
def test_questions_that_make_no_sense(open_history, ask):
    with pytest.raises(ConfigError, match=r"expected .*, got"):
        ask(open_history())


def filled(history):
    """Write some minutes, and close the history."""
    write_minutes(history, "count", {START + 60 * n: n % 100 / 7 for n in range(3000)})
    history.close()
    return history


def test_an_export_read_by_one_thread_after_the_other(open_history):
    history = filled(open_history())
    pieces = history.export(START, START + 1e6)
    texts = []
    while True:
        before = len(texts)
        thread = threading.Thread(
            target=lambda: texts.extend(one for one in [next(pieces, "")] if one)
        )
        thread.start()
        thread.join()
        if len(texts) == before:
            break
    assert len("".join(texts).splitlines()) == 3001


def test_an_export_that_nobody_reads_to_its_end_holds_nothing(open_history):
    history = filled(open_history())
    pieces = history.export(START, START + 1e6)
    next(pieces)
    next(pieces)
    pieces.close()
    again = open_history()
    again._database.execute("VACUUM")


_SOMEBODY = """
import os, sys
from pathlib import Path
from edgecount.watch.history import History, HistorySettings
if not os.geteuid():
    os.setgid(65534)
    os.setuid(65534)
history = History(HistorySettings(Path(sys.argv[1])))
print(history.known())
try:
    history.open()
except Exception as error:
    print(error)
"""


def test_somebody_who_may_only_read(open_history):
    folder = Path(tempfile.mkdtemp())  # not in pytest's folder, which nobody else may enter
    try:
        path = filled(open_history(folder / "history.sqlite")).path
        path.with_name(path.name + ".lock").unlink()
        folder.chmod(0o555)
        command = [sys.executable, "-c", _SOMEBODY, str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert told.splitlines() == [
            "[('door', 'count')]",
            f"cannot write {path}.lock: Permission denied",
        ]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
