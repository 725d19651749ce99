"""`inspect` of files that are out of the ordinary."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import onnx
import pytest
from graphs import small_manifest, small_model, write_photos

from edgecount.cli._inspect.engine import engine_rows
from edgecount.cli._inspect.folder import add_times
from edgecount.cli._inspect.sets import set_name
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.source.load import with_manifest
from edgecount.manifest import FusionSpec

ENGINES = ("onnxruntime", "openvino")  # of a CPU; `auto` takes the second where bfloat16 is fast


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


def test_a_graph_without_names_is_counted_by_layers(run, tmp_path):
    model = small_model()
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "nameless.onnx")
    assert "layers: 6 in fp32" in run("inspect", tmp_path / "nameless.onnx").stdout


def test_a_folder_with_what_cannot_be_read(run, tmp_path):
    onnx.save(small_model(), tmp_path / "model.onnx")
    (tmp_path / "cut.onnx").write_bytes(small_model().SerializeToString()[:500])
    os.mkfifo(tmp_path / "pipe.onnx")
    result = run("inspect", tmp_path)
    assert result.exit_code == 1
    rows = result.stdout.splitlines()
    assert [row.split()[0] for row in rows[1:4]] == ["cut.onnx", "model.onnx", "pipe.onnx"]
    assert rows[1].endswith("no")
    assert f"pipe.onnx: {tmp_path / 'pipe.onnx'} is a FIFO: expected a regular file" in rows
    taken = json.loads(run("inspect", tmp_path, "--json").stdout)["taken"]
    assert taken == {"file": str(tmp_path / "model.onnx"), "backend": taken["backend"]}
    assert taken["backend"] in ENGINES


@pytest.mark.parametrize("command", ["inspect", "export", "bench"])
@pytest.mark.parametrize("name", ["m.onnx", "m.engine", "m.pt"])
def test_what_blocks_is_refused_in_one_line(run, tmp_path, command, name):
    os.mkfifo(tmp_path / name)
    if name == "m.engine":
        os.mkfifo(tmp_path / "m.engine.json")
    result = run(command, tmp_path / name)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "a FIFO" in line or "is a training checkpoint" in line or "is an engine" in line


def test_weights_that_block_are_refused(run, tmp_path):
    path = tmp_path / "apart.onnx"
    onnx.save(small_model(), path, save_as_external_data=True, location="w", size_threshold=0)
    (tmp_path / "w").unlink()
    os.mkfifo(tmp_path / "w")
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert facts["why_not"] == f"{tmp_path / 'w'} is a FIFO: expected a regular file"


def test_a_manifest_that_blocks_is_refused(run, tmp_path):
    onnx.save(small_model(manifest=False), tmp_path / "small.onnx")
    os.mkfifo(tmp_path / "manifest.json")
    result = run("export", tmp_path / "small.onnx", "--manifest", tmp_path / "manifest.json")
    assert result.exit_code == 2
    assert "manifest.json is a FIFO" in result.stderr


def test_numbers_are_the_table_of_models_and_sets_have_names(run):
    lines = run("inspect", "edgecount-s").stdout.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("measured"))
    listed = run("models").stdout
    shown = [line[12:] for line in lines[begin : begin + 14]]
    assert shown[0].startswith("cameras it never saw: MAE")
    assert all(f"  {line}\n" in listed for line in shown)
    text = "\n".join(lines)
    assert "left_out_mae" not in text
    assert "ShanghaiTech A" in text
    assert not [folder for folder in ("more/", "part_A", "unity_synthetic") if folder in text]
    assert set_name("my/own/more/camera") == "my/own/more/camera"


def test_odd_measurements_are_passed_over(run, tmp_path):
    for name, metrics in (("one", [1]), ("two", {"a": {"mae": "x", "difference": 1}, "b": 3})):
        manifest = dataclasses.replace(small_manifest(), training={"metrics": metrics})
        onnx.save(with_manifest(small_model(), manifest), tmp_path / f"{name}.onnx")
    assert "a: mae x, difference 1" in run("inspect", tmp_path / "two.onnx").stdout
    result = run("inspect", tmp_path)
    assert result.exit_code == 0
    assert len(re.findall(f"yes, on ({'|'.join(ENGINES)})", result.stdout)) == 2


@pytest.mark.parametrize(
    ("engines", "shown"),
    [
        ([("onnxruntime", 9.0, False), ("onnxruntime", 8.0, True), ("openvino", 4.0, True)], 8.0),
        ([("onnxruntime", 9.0, False), ("openvino", 4.0, True)], 50.0),
        ([], 50.0),
        (None, 50.0),
    ],
)
def test_times_are_of_the_backend_that_runs_the_file(tmp_path, engines, shown):
    runs = engines and [
        {"backend": backend, "latency_ms": {"p50": p50}, "passed": passed}
        for backend, p50, passed in engines
    ]
    report = {"files": [{"file": "a.onnx", "latency_ms": {"p50": 50.0}, "engines": runs}]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    facts = [{"file": str(tmp_path / "a.onnx"), "backend": "onnxruntime"}]
    add_times(tmp_path, facts)
    assert facts[0]["latency_ms"] == {"p50": shown}


@pytest.mark.parametrize(("grid", "tail"), [(0, "px square"), (4, "px square, on a grid of 4 x 4")])
def test_how_density_and_points_are_blended(run, make_model, grid, tail):
    path = make_model(fusion=FusionSpec(64, 1.0, 4.0, grid=grid))
    (line,) = (line for line in run("inspect", path).stdout.splitlines() if "fusion" in line)
    assert line.endswith(f"points below 1, density above 4 people per 64 {tail}")


@pytest.mark.parametrize(("platform", "shown"), [("jetson", " on jetson"), (None, "")])
def test_an_engine_s_platform_is_shown(platform, shown):
    engine = {
        "precision": "fp16",
        "backend": "tensorrt",
        "version": "10.3.0",
        "layers": {},
        "shapes": [[1, 3, 64, 96]] * 3,
        "compute_capabilities": ["8.7"],
        "platform": platform,
        "device": None,
        "overridden": False,
    }
    assert dict(engine_rows(engine))["needs"] == f"a GPU of compute capability 8.7{shown}"
