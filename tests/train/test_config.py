"""A config says what is wrong with it."""

import pytest

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

from pathlib import Path  # noqa: E402

import edgecount.train  # noqa: E402
from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.checkpoint import config_to_dict  # noqa: E402
from edgecount.train.config import config_from_dict, load_config  # noqa: E402

GOOD = {"model": "edgecount-s", "data": [{"reader": "blank"}]}


def test_plain_values_round_trip():
    config = config_from_dict({**GOOD, "learning_rate": 1})
    assert config_from_dict(config_to_dict(config)) == config
    assert config.learning_rate == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "stepz: unknown key"),
        ({"steps": "many"}, "steps: expected int, got 'many'"),
        ({"steps": True}, "steps: expected int"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"crop": 100}, "crop: expected a positive multiple of 32"),
        ({"precision": "fp8"}, "precision: expected fp32 or bf16"),
        ({"ema": 5.0}, "ema: expected a number in"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0"),
        ({"warmup": -1}, "warmup: expected 0 or more"),
        ({"data": [{"reader": "blank", "weight": 0}]}, "data.weight: expected numbers above 0"),
        ({"data": {}}, "data: expected a list"),
        ({"data": []}, "data: expected at least one set"),
        ({"data": [{"path": "x"}]}, "data.reader: missing"),
        ({"data": [{"reader": "voc", "scale": [2, 1]}]}, "data.scale: expected"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        config_from_dict({**GOOD, **change})


def test_files_that_are_no_config(tmp_path):
    path = tmp_path / "c.yaml"
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(path)
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(path)
    path.write_text("just words")
    with pytest.raises(ConfigError, match="expected keys and values"):
        load_config(path)


def test_the_data_folder_must_be_named(monkeypatch):
    monkeypatch.delenv("EDGECOUNT_DATA", raising=False)
    with pytest.raises(ConfigError, match="data_root"):
        config_from_dict(GOOD).root()


@pytest.mark.parametrize("folder", edgecount.train.__path__)
def test_bundled_configs_are_right(folder):
    for path in Path(folder, "configs").glob("*.yaml"):
        assert load_config(path).model == path.stem
