"""One training in a folder at a time."""

import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import OutputError  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.lock import locked, run_folder  # noqa: E402


def test_a_folder_is_held_by_one(tmp_path):
    refused = pytest.raises(OutputError, match=r"is training in .*choose another")
    with locked(tmp_path), refused, locked(tmp_path):
        pass
    with locked(tmp_path):  # given back
        pass


def test_what_a_killed_process_held_is_free(tmp_path):
    script = (
        "import os, sys, pathlib; from edgecount.train.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert (tmp_path / ".lock").read_text().strip()
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING, "edgecount"), locked(tmp_path):
        pass
    assert "cannot be locked (Operation not supported): start no second one" in caplog.text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / ".lock").mkdir()
    refused = pytest.raises(OutputError, match=r"cannot write to the folder .*: Is a directory")
    with refused, locked(tmp_path):
        pass


def test_a_second_training_is_refused_at_once(config, tmp_path):
    with locked(tmp_path), pytest.raises(OutputError, match="is training in"):
        loop.train(config, tmp_path)
    assert not (tmp_path / "log.jsonl").exists()


def test_the_lock_is_that_of_the_file_that_is_there(tmp_path, monkeypatch):
    """Whoever held it may delete it between the opening and the locking of it."""
    path, real = tmp_path / ".lock", fcntl.flock
    taken = []

    def flock(descriptor, how):
        if not taken:
            path.unlink()
        taken.append(descriptor)
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(taken) == 2
        assert path.read_text().startswith(str(os.getpid()))
        assert os.fstat(taken[-1]).st_ino == path.stat().st_ino
        with pytest.raises(OutputError, match="is training in"), locked(tmp_path):
            pass


def test_a_folder_that_another_run_takes_away_is_made_again(tmp_path, monkeypatch):
    real, opened = os.open, []

    def open_once_gone(path, *more):
        if not opened and str(path).endswith(".lock"):
            opened.append(path)
            Path(path).parent.rmdir()
        return real(path, *more)

    monkeypatch.setattr(os, "open", open_once_gone)
    with run_folder(tmp_path / "runs" / "one") as begin:
        begin()
    assert (tmp_path / "runs" / "one" / ".lock").exists()


def test_a_refused_run_takes_nothing_from_the_one_that_holds_the_folder(tmp_path):
    with run_folder(tmp_path / "run", drafts=["scenes"]):
        (tmp_path / "run" / "scenes").mkdir()
        refused = pytest.raises(OutputError, match="is training in")
        with refused, run_folder(tmp_path / "run", drafts=["scenes"]):
            pass
        assert (tmp_path / "run" / "scenes").exists()
        with pytest.raises(OutputError, match="is training in"), locked(tmp_path / "run"):
            pass


RUNS = """
import os, sys
from pathlib import Path
from edgecount.errors import OutputError
from edgecount.train.lock import run_folder

folder, number, held = Path(sys.argv[1]), int(sys.argv[2]), 0
while held < number:
    try:
        with run_folder(folder / "runs" / "one"):
            inside = os.open(folder / "inside", os.O_CREAT | os.O_EXCL)  # two of them: an error
            held += 1
            os.close(inside)
            os.unlink(folder / "inside")
            raise KeyError
    except KeyError:
        pass
    except OutputError as error:
        assert "is training in" in str(error), error
"""


def test_processes_whose_runs_are_refused_hold_the_folder_one_at_a_time(tmp_path):
    command = [sys.executable, "-c", RUNS, str(tmp_path), "60"]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [run.communicate(timeout=300)[1] for run in runs] == [""] * 3
    assert [run.returncode for run in runs] == [0] * 3
    assert not (tmp_path / "inside").exists()
