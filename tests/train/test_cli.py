"""train, export, eval: from two pictures to a model's errors, by the commands alone."""

import json

import pytest

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from click.testing import CliRunner  # noqa: E402

from edgecount.cli import cli  # noqa: E402
from edgecount.cli.train import _line  # noqa: E402


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_from_pictures_to_errors(shanghaitech, tmp_path):
    config = tmp_path / "config.yaml"
    settings = {
        "model": "edgecount-s",
        "data_root": str(tmp_path),
        "data": [{"reader": "shanghaitech", "path": "part_X"}],
        "crop": 64,
        "batch_size": 2,
        "steps": 2,
    }
    config.write_text(yaml.safe_dump(settings))
    trained = run("train", config, "--out", tmp_path / "run", "--threads", 1)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout.strip() == str(tmp_path / "run" / "last.pt")
    assert "step 2" in trained.stderr

    model = tmp_path / "model.onnx"
    exported = run("export", tmp_path / "run" / "last.pt", "--out", model)
    assert exported.exit_code == 0, exported.output
    again = run("export", tmp_path / "run" / "last.pt", "--out", model)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr

    evaluated = run("eval", model, shanghaitech, "--reader", "shanghaitech", "--json")
    assert evaluated.exit_code == 0, evaluated.output
    report = json.loads(evaluated.stdout)
    assert report["count"]["images"] == 2
    assert {"count", "density_count", "peak_count", "points"} <= set(report)
    table = run("eval", model, shanghaitech, "--reader", "shanghaitech")
    assert "MAE" in table.stdout
    unexported = run("eval", tmp_path / "run" / "last.pt", shanghaitech, "--reader", "shanghaitech")
    assert unexported.exit_code == 0, unexported.output
    assert unexported.stdout.splitlines()[0] == "2 images"


def test_a_wrong_key_is_a_usage_error(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("model: edgecount-s\ndata: [{reader: blank}]\nlearning-rate: 1\n")
    result = run("train", config, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "learning-rate: unknown key" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_missing_folder_is_one_line(tmp_path):
    result = run("eval", "edgecount-s", tmp_path / "nowhere", "--reader", "voc")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "nowhere" in result.stderr


def test_a_validation_by_points_names_its_threshold():
    record = {"step": 8, "validation": "mall", "mae": 2.0, "rmse": 3.0, "bias": -1.0}
    assert _line(record) == "step 8  mall: MAE 2.00  RMSE 3.00  bias -1.00"
    told = _line({**record, "threshold": 0.45})
    assert told == "step 8  mall: MAE 2.00  RMSE 3.00  bias -1.00  at threshold 0.45"
