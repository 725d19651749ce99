"""`edgecount scenes write`."""

from __future__ import annotations

import json
from pathlib import Path

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
    assert said.rstrip().endswith("heads; read with --reader mot")
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
