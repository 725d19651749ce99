"""A config that builds on another one says only what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.config import config_to_dict, find_config, load_config  # noqa: E402

BASE: dict[str, Any] = {
    "model": {"name": "hsrnet", "reduction": 32},
    "objective": {"name": "density", "scale_consistency": 1.0},
    "data": [{"reader": "blank", "weight": 2}, {"reader": "scenes", "number": 3}],
    "photometric": {"probability": 0.0, "grey": 0.5},
    "steps": 40,
    "milestones": [0.2, 0.4],
}


def write(folder: Path, name: str, values: Any) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_what_a_config_says_stands_over_what_it_extends(tmp_path):
    write(tmp_path, "base", BASE)
    child = {
        "extends": "base.yaml",
        "model": {"recalibration": False},
        "objective": {"name": "cfanet"},
        "data": [{"reader": "blank"}],
        "photometric": {"grey": 0.25},
        "milestones": [0.6],
        "seed": 7,
    }
    config = load_config(write(tmp_path, "child", child))
    assert config.model.options == {"reduction": 32, "recalibration": False}
    assert (config.objective.name, config.objective.options) == ("cfanet", {})
    assert [entry.weight for entry in config.data] == [1.0]
    assert (config.photometric.probability, config.photometric.grey) == (0.0, 0.25)
    assert (config.steps, config.milestones, config.seed) == (40, (0.6,), 7)


def test_a_name_alone_keeps_the_options_of_the_same_network_only(tmp_path):
    write(tmp_path, "base", BASE)
    same = load_config(write(tmp_path, "same", {"extends": "base.yaml", "model": "hsrnet"}))
    other = load_config(write(tmp_path, "other", {"extends": "base.yaml", "model": "mcnn"}))
    assert (same.model.name, same.model.options) == ("hsrnet", {"reduction": 32})
    assert (other.model.name, other.model.options) == ("mcnn", {})


def test_a_key_without_a_value_takes_the_other_away(tmp_path):
    write(tmp_path, "base", BASE)
    text = "extends: base.yaml\nsteps:\nobjective: {scale_consistency: }\n"
    config = load_config(write(tmp_path, "child", text))
    assert config.steps == 6000
    assert (config.objective.name, config.objective.options) == ("density", {})


def test_a_chain_is_read_from_its_far_end(tmp_path):
    (tmp_path / "more").mkdir()
    write(tmp_path, "base", BASE)
    write(tmp_path, "middle", {"extends": "base.yaml", "steps": 50, "seed": 1})
    path = write(tmp_path / "more", "last", {"extends": "../middle.yaml", "seed": 2})
    config = load_config(path, ["steps=60"])
    assert (config.model.name, config.steps, config.seed) == ("hsrnet", 60, 2)
    # A checkpoint holds what was run, and does not need the files again.
    assert "extends" not in config_to_dict(config)


def test_a_config_that_comes_with_edgecount_is_extended_by_its_name(tmp_path):
    path = write(tmp_path, "mine", {"extends": "tiny", "steps": 5})
    tiny = load_config(find_config(Path("tiny")))
    assert load_config(path) == load_config(find_config(Path("tiny")), ["steps=5"])
    assert tiny.steps != 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: nobody\n", r"child\.yaml: extends: there is no config nobody: expected a name"),
        ("extends: hsrnt\n", r"no config hsrnt: did you mean hsrnet\? expected a name"),
        ("extends: none.yaml\n", r"child\.yaml: extends: there is no file .*none\.yaml"),
        ("extends: 3\n", r"child\.yaml: extends: expected the name of a config or a .*, got 3"),
        ("extends: [a, b]\n", r"child\.yaml: extends: expected the name of a config"),
        ("extends: child.yaml\n", r"expected no circle, got child\.yaml extends child\.yaml"),
        ("extends: round.yaml\n", r"round\.yaml: extends: expected no circle, got child\.yaml ex"),
        ("extends: list.yaml\n", r"list\.yaml: expected keys and values, got list"),
        ("extends: base.yaml\nstepz:\n", r"child\.yaml: stepz: no value, and nothing to take away"),
        ("extends: base.yaml\nmodel: {width: }\n", r"model\.width: no value"),
        ("extends: bad.yaml\n", r"child\.yaml \(extends bad, base\): steps: expected 1 or more"),
    ],
)
def test_mistakes_name_the_file(tmp_path, text, message):
    write(tmp_path, "base", BASE)
    write(tmp_path, "bad", {"extends": "base.yaml", "steps": 0})
    write(tmp_path, "round", {"extends": "child.yaml"})
    write(tmp_path, "list", [1])
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, "child", text))


def test_a_name_that_is_nearly_right_is_told_in_one_short_line():
    with pytest.raises(
        ConfigError, match=r"^there is no config retinanet-ligth: did you mean"
    ) as one:
        find_config(Path("retinanet-ligth"))
    assert "did you mean retinanet-light? " in str(one.value)
    assert len(str(one.value)) < 200
    with pytest.raises(ConfigError, match=r"^there is no config nobody: expected a YAML file"):
        find_config(Path("nobody"))
