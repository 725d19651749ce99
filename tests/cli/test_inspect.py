"""`inspect` of files that are out of the ordinary."""

import json
import shutil
import subprocess
import sys

import onnx
import pytest
from graphs import small_model, write_photos

from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return write_photos(tmp_path / "photos", 8)


def test_weights_beside_the_file_are_part_of_its_size(run, tmp_path):
    path = tmp_path / "apart.onnx"
    onnx.save(
        small_model(), path, save_as_external_data=True, location="apart.data", size_threshold=0
    )
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert facts["bytes"] == path.stat().st_size + (tmp_path / "apart.data").stat().st_size
    shutil.move(tmp_path / "apart.data", tmp_path / "elsewhere")
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert facts["bytes"] == path.stat().st_size
    assert not facts["runs"]


def test_a_checkpoint_is_told_from_a_damaged_model(run, tmp_path):
    (tmp_path / "best.pt").write_bytes(b"PK\x03\x04 and so on")
    result = run("inspect", tmp_path / "best.pt")
    assert result.exit_code == 1
    assert "is a training checkpoint: run  edgecount export" in result.stderr
    (tmp_path / "cut.onnx").write_bytes(small_model().SerializeToString()[:500])
    assert "cut.onnx" in run("inspect", tmp_path / "cut.onnx").stderr


def test_onnxruntime_says_nothing_on_stderr(photos, tmp_path):
    """In a process of its own, of the file that it has most to say about."""
    onnx.save(small_model(), tmp_path / "small.onnx")
    options = ExportOptions(int8=True, calibration=photos, int8_gate=1, threads=1)
    export_model(str(tmp_path / "small.onnx"), tmp_path / "made", options)
    path = tmp_path / "made" / "model.int8-fp16.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "edgecount", "inspect", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "float" in done.stdout
    assert done.stderr == ""
