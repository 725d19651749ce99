"""A config says what is wrong with it."""

import pytest

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")


from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import (  # noqa: E402
    config_from_dict,
    config_to_dict,
    load_config,
)
from edgecount.train.schedules import learning_rate  # noqa: E402

GOOD = {"model": "edgecount-s", "data": [{"reader": "blank"}]}


def test_plain_values_round_trip():
    config = config_from_dict(
        {
            **GOOD,
            "model": {"name": "edgecount-s", "width": 0.5},
            "learning_rate": 1,
            "crop": 96,
            "photometric": {},
        }
    )
    again = config_from_dict(yaml.safe_load(yaml.safe_dump(config_to_dict(config))))
    assert again == config
    assert config.learning_rate == 1.0
    assert config.crop == (96, 96)
    assert config.model.options == {"width": 0.5}


def test_keys_may_have_the_names_of_older_configs():
    old = {"looks": {"grey": 0.5}, "rest_norms": 0.5, "narrow_from": "wide.pt"}
    new = {"photometric": {"grey": 0.5}, "freeze_bn": 0.5, "prune_from": "wide.pt"}
    config = config_from_dict({**GOOD, **old})
    assert config == config_from_dict({**GOOD, **new})
    assert config.photometric.grey == 0.5
    assert not set(old) & set(config_to_dict(config))
    with pytest.raises(ConfigError, match="freeze_bn: given twice, once as rest_norms"):
        config_from_dict({**GOOD, "freeze_bn": 0.2, "rest_norms": 0.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "stepz: unknown key; did you mean steps"),
        ({"steps": "many"}, "steps: expected a whole number, got 'many'"),
        ({"steps": True}, "steps: expected a whole number"),
        ({"steps": 0}, "steps: expected 1 or more"),
        ({"crop": 0}, "crop: expected a number of pixels"),
        ({"crop": [64]}, "crop: expected a list of 2"),
        ({"precision": "fp8"}, "precision: expected fp32, bf16 or fp16"),
        ({"schedule": "linear"}, "schedule: expected cosine, step, plateau or constant"),
        ({"ema": 5.0}, "ema: expected a number in"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a finite number, got nan"),
        ({"learning_rate": "1e-4"}, "write a number without quotes"),
        ({"learning_rate": 0}, "learning_rate: expected a number above 0"),
        ({"milestones": [2.0]}, "milestones: expected shares"),
        ({"warmup": -1}, "warmup: expected 0 or more"),
        ({"model": 3}, "model: expected a name"),
        ({"data": [{"reader": "blank", "weight": -1}]}, "data.weight: expected 0 or more"),
        ({"data": [{"reader": "voc", "shrink": 2}]}, "data.shrink: expected a number in"),
        ({"data": [{"reader": "voc", "holdout": 1}]}, "data.holdout: expected a share"),
        ({"data": {}}, "data: expected a list"),
        ({"data": []}, "data: expected at least one set"),
        ({"data": [{"path": "x"}]}, "data.reader is missing"),
        ({"data": [{"reader": "voc", "scale": [2, 1]}]}, "data.scale: expected"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        config_from_dict({**GOOD, **change})


def test_values_set_from_outside_replace_those_of_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    changes = ["steps=7", "model.width=0.5", "data.0.weight=2", "milestones=[0.5, 0.9]"]
    config = load_config(path, changes)
    assert config.steps == 7
    assert (config.model.name, config.model.options) == ("edgecount-s", {"width": 0.5})
    assert config.data[0].weight == 2.0
    assert config.milestones == (0.5, 0.9)
    for change, message in (
        ("steps", "expected key=value"),
        (
            "data.3.weight=1",
            "there is no '3' .*: expected the number of an entry, 0 to 0",
        ),
        ("steps=[", "not YAML"),
        ("step=3", "step: unknown key"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_config(path, [change])


def test_an_empty_value_takes_a_key_away(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "backbone_weights": "x.pth", "freeze": ["a"]}))
    config = load_config(path, ["backbone_weights=", "freeze=", "early_stop="])
    assert (config.backbone_weights, config.freeze, config.early_stop) == ("", (), 0)
    with pytest.raises(ConfigError, match="model is missing"):
        load_config(path, ["model="])
    with pytest.raises(ConfigError, match="there is no 'backbone' to take away"):
        load_config(path, ["backbone="])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"reader": "blank", "path": "x"}, r"data\[1\]\.path: unknown key for the reader blank"),
        ({"reader": "csv", "number": 3}, r"data\[1\]\.number: unknown key for the reader csv"),
        ({"reader": "scenes", "shrink": 1.0}, r"shrink: unknown .* expected one of .*number"),
        ({"reader": "csv", "pth": "x"}, "pth: unknown key"),
        ({"reader": "csv", "unannotated": "no"}, "expected usual, empty, skip or error"),
    ],
)
def test_keys_that_a_reader_has_no_use_for_are_refused(tmp_path, entry, message):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "data": [{"reader": "blank"}, entry]}))
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_schedules_at_hand_worked_steps():
    def rates(steps, lr_drops=0, **change):
        config = config_from_dict({**GOOD, "steps": 100, "warmup": 10, **change})
        return [learning_rate(step, config, lr_drops) * 1e3 for step in steps]

    assert rates([0, 9, 10, 55, 100]) == pytest.approx([0.1, 1.0, 1.0, 0.505, 0.01])
    assert rates([10, 55, 100], cosine_end=0.1) == pytest.approx([1.0, 0.55, 0.1])
    assert rates([9, 10, 99], schedule="constant") == pytest.approx([1.0, 1.0, 1.0])
    stepped = rates([59, 60, 85], schedule="step", gamma=0.1)
    assert stepped == pytest.approx([1.0, 0.1, 0.01])
    assert rates([50], 2, schedule="plateau") == pytest.approx([0.25])


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


@pytest.mark.parametrize("key", ["backbone_weights", "initial_weights", "prune_from"])
def test_a_network_that_grows_has_no_other_start(settings, key):
    with pytest.raises(ConfigError, match=f"grow_from: expected no other start, got {key} too"):
        config_from_dict(settings | {"grow_from": "edgecount-n", key: "other.pt"})
