"""Which measured sets hold cameras that a model never saw, in its manifest."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("scipy")

from edgecount.errors import ConfigError
from edgecount.models import model_path
from edgecount.runtime.models.open import open_model
from edgecount.train.config import DataConfig, NamedOptions, TrainConfig

METRICS = Path(__file__).resolve().parents[2] / "docs" / "cards" / "edgecount-n" / "metrics.json"


def test_a_set_that_a_run_only_measures_was_never_seen(scripts):
    data = (
        DataConfig("csv_folder", path="more/cafe", weight=0),
        DataConfig("csv_folder", path="more/brt", weight=0),
        DataConfig("csv_folder", path="more/hats", split="hard_hat", weight=0),
        DataConfig("mall", path="mall", split="mall"),
    )
    config = TrainConfig(NamedOptions("edgecount-n"), data)
    assert scripts.set_names.never_seen(config, ()) == {"more-cafe", "more-brt"}
    assert scripts.set_names.never_seen(config, ["more-brt"]) == {"more-cafe"}
    left_out = dataclasses.replace(config, leave_out=("mall", "hard_hat"))
    assert scripts.set_names.never_seen(left_out, ["more-brt"]) == {"more-cafe", "mall", "hard_hat"}


def test_every_set_has_a_name_for_people(scripts):
    described = scripts.set_names.describe({"my_hall": {"mae": 1.0}}, {"my_hall": 3.21}, [])
    expected = {"mae": 1.0, "people": 3.2, "title": "my hall", "seen": True}
    assert described == {"my_hall": expected}
    with pytest.raises(ConfigError, match="unseen: expected some of my_hall, got 'hall'"):
        scripts.set_names.describe({"my_hall": {}}, {"my_hall": 1.0}, ["hall"])


def test_a_released_model_is_described_anew(scripts, tmp_path):
    model, metrics = tmp_path / "edgecount-n.onnx", tmp_path / "metrics.json"
    shutil.copy(model_path("edgecount-n"), model)
    shutil.copy(METRICS, metrics)
    before = open_model(model).manifest
    where = ["--models", str(tmp_path), "--metrics", str(metrics)]
    scripts.describe_metrics.main(["edgecount-n", *where, "--unseen", "mall"])
    after = open_model(model).manifest
    assert dataclasses.replace(after, training=before.training) == before
    found = after.training["metrics"]
    assert [name for name, one in found.items() if not one["seen"]] == ["mall"]
    assert found["mall"]["people"] == pytest.approx(23.7, abs=0.2)
    assert found["mall"]["mae"] == before.training["metrics"]["mall"]["mae"]
    assert json.loads(metrics.read_text()) == json.loads(METRICS.read_text())
    with pytest.raises(SystemExit, match="hall was not measured: give a --config"):
        scripts.describe_metrics.main(["edgecount-n", *where, "--unseen", "hall"])
