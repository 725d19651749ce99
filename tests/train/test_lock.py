"""One training in a folder at a time."""

import fcntl
import logging
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")
pytest.importorskip("yaml")

from edgecount.errors import OutputError  # noqa: E402
from edgecount.train import loop  # noqa: E402
from edgecount.train.lock import locked  # noqa: E402


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
    assert "cannot be locked (Operation not supported): start no second training" in caplog.text


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / ".lock").mkdir()
    refused = pytest.raises(OutputError, match=r"cannot write to the folder .*: Is a directory")
    with refused, locked(tmp_path):
        pass


def test_a_second_training_is_refused_at_once(config, tmp_path):
    with locked(tmp_path), pytest.raises(OutputError, match="is training in"):
        loop.train(config, tmp_path)
    assert not (tmp_path / "log.jsonl").exists()
