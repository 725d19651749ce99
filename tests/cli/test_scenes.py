"""`edgecount scenes write`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgecount.cli import cli


def run(folder: Path, *args: str) -> str:
    small = ["--train", "1", "--test", "0", "--frames", "2", "--people", "6", "--size", "240x320"]
    call = ["scenes", "write", str(folder), *small, *args]
    result = CliRunner().invoke(cli, call, prog_name="edgecount")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_set_is_written_once(tmp_path):
    said = run(tmp_path / "set")
    assert said.startswith(f"{tmp_path / 'set'}  1 new sequences, 2 frames, ")
    assert said.rstrip().endswith(f"heads; read {tmp_path / 'set' / 'train'} with --reader mot")
    assert (tmp_path / "set" / "train" / "scene-01" / "gt" / "gt.txt").is_file()
    assert "  0 new sequences, 0 frames, 0 heads" in run(tmp_path / "set")


def test_json_and_csv(tmp_path):
    found = json.loads(run(tmp_path / "set", "--layout", "csv", "--json"))
    heads = found.pop("heads")
    assert 1 <= heads <= 12
    assert found == {
        "folder": str(tmp_path / "set"),
        "layout": "csv",
        "sequences": 1,
        "frames": 2,
    }
    assert len((tmp_path / "set" / "train" / "heads.csv").read_text().splitlines()) == heads + 1


@pytest.mark.parametrize("layout", ["mot", "csv"])
@pytest.mark.parametrize("parts", [("train",), ("test",), ("train", "test")])
def test_what_it_says_is_read(tmp_path, layout, parts):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    sizes = [word for part in ("train", "test") for word in (f"--{part}", str(int(part in parts)))]
    words = run(tmp_path / "set", "--layout", layout, *sizes).partition("; read ")[2].split()
    *folders, option, reader = (word for word in words if word not in ("and", "with"))
    assert folders == [str(tmp_path / "set" / part) for part in parts]
    for folder in folders:
        for how in ((option, reader), ()):
            result = CliRunner().invoke(cli, ["data", "check", folder, *how])
            assert result.exit_code == 0, result.output
            assert "2 images" in result.output


def test_the_folder_of_parts_is_read_as_mot_alone(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    run(tmp_path / "mot")
    run(tmp_path / "csv", "--layout", "csv")
    result = CliRunner().invoke(cli, ["data", "check", str(tmp_path / "mot")])
    assert result.exit_code == 0, result.output
    assert "is read with --reader mot" in result.output
    result = CliRunner().invoke(cli, ["data", "check", str(tmp_path / "csv")])
    assert result.exit_code == 2
    assert f"read one by one: expected {tmp_path / 'csv' / 'train'}\n" in result.output


def test_people_who_find_no_room_are_told(tmp_path):
    call = ["scenes", "write", str(tmp_path / "set"), "--train", "1", "--test", "0"]
    call += ["--frames", "1", "--people", "400", "--size", "64x96"]
    result = CliRunner().invoke(cli, call)
    assert result.exit_code == 0, result.output
    assert "edgecount: warning: people: " in result.stderr
    assert " of 400 find room in a clip of 96 x 64 pixels" in result.stderr


def test_a_wrong_size_claims_no_folder(tmp_path):
    call = ["scenes", "write", str(tmp_path / "set"), "--size", "64x40000"]
    result = CliRunner().invoke(cli, call)
    assert result.exit_code == 2
    assert "--size: expected a width and a height of 64 to 16384 pixels" in result.stderr
    assert not (tmp_path / "set").exists()
