"""Every network goes the whole way: rendered set, train, export, count, eval, by commands alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")
pytest.importorskip("lightning_fabric")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from click.testing import CliRunner  # noqa: E402

from edgecount.cli import cli  # noqa: E402
from edgecount.train.models import MODELS  # noqa: E402

# The objective that each network is trained with in its configs.
OBJECTIVES: dict[str, Any] = {
    "edgecount-s": "edge",
    "edgecount-n": "edge",
    "edgecount-m": "edge",
    "hsrnet": {"name": "density", "scale_consistency": 1.0},
    "centernet": "centernet",
    "cfanet": "cfanet",
    "raznet": "raznet",
    "centernet-light": "centernet",
    "csrnet": "density",
    "cannet": "density",
    "mcnn": "density",
    "fcos": "detection",
    "foveabox": "detection",
    "retinanet": "detection",
    "yolov5": "detection",
}

# Smaller ones of a kind, whose own size would take minutes.
OPTIONS: dict[str, dict[str, Any]] = {
    "fcos": {"backbone": "mobilenet_v2", "channels": 32, "depth": 1},
    "foveabox": {"backbone": "mobilenet_v2", "channels": 32, "depth": 1},
    "retinanet": {"backbone": "mobilenet_v2", "channels": 32, "depth": 1},
    "yolov5": {"size": "n"},
}


def run(*args: object) -> str:
    result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="edgecount")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training and two test pictures with head boxes, in GTA_Head's layout."""
    folder = tmp_path_factory.mktemp("crowds") / "gta_head"
    small = ("--train", 1, "--test", 1, "--frames", 2, "--people", 12, "--size", "160x192")
    run("scenes", "write", folder, *small)
    return folder


def test_every_network_is_here():
    assert set(OBJECTIVES) == set(MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_from_a_set_to_errors(name, crowds, tmp_path):
    config = tmp_path / "config.yaml"
    settings = {
        "model": {"name": name, **OPTIONS.get(name, {})},
        "objective": OBJECTIVES[name],
        "data_root": str(crowds.parent),
        "data": [{"reader": "gta_head", "path": crowds.name, "holdout": 0.5}],
        "crop": 128,
        "batch_size": 2,
        "steps": 2,
        "warmup": 0,
        "tensorboard": False,
        "report": False,
    }
    config.write_text(yaml.safe_dump(settings))
    checkpoint = Path(run("train", config, "--out", tmp_path / "run", "--threads", 1).strip())
    model = tmp_path / "model.onnx"
    run("export", checkpoint, "--out", model)
    picture = next((crowds / "test").glob("*/img1/000001.jpg"))
    counted = json.loads(
        run("count", picture, "--model", model, "--backend", "onnxruntime", "--json")
    )
    assert counted["count"] >= 0
    reports = [
        json.loads(run("eval", one, crowds / "test", "--reader", "mot", "--json"))
        for one in (model, checkpoint)
    ]
    for report in reports:
        assert report["count"]["images"] == 2
    assert reports[0]["count"]["mae"] == pytest.approx(reports[1]["count"]["mae"], rel=1e-3)
