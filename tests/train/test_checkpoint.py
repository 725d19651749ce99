"""Checkpoints that hold something else than a training wrote."""

import pytest
import torch

from edgecount.errors import ModelError
from edgecount.models import list_models
from edgecount.train.checkpoint import load_network
from edgecount.train.config import config_from_dict, config_to_dict
from edgecount.train.manifest import manifest_of
from edgecount.train.models import build_model


def state_of(name="mcnn"):
    config = config_from_dict({"model": {"name": name}, "data": [{"reader": "blank"}]})
    weights = build_model(name, {}).state_dict()
    return {"ema": weights, "config": config_to_dict(config), "step": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"ema": None},
        {"ema": {1: torch.zeros(1)}},
        {"ema": {"layer": "text"}},
        {"config": [3]},
        {"config": {"model": None}},
        {"config": "text"},
        {"step": torch.zeros(3)},
        {"postprocess": [3]},
        {"postprocess": {"threshold": "high"}},
    ],
)
def test_what_is_wrong_is_one_error(tmp_path, change):
    torch.save({**state_of(), **change}, tmp_path / "best.pt")
    with pytest.raises(ModelError):
        manifest_of(*load_network(tmp_path / "best.pt"))


def test_no_trained_network_is_called_like_a_bundled_model(tmp_path):
    torch.manual_seed(0)
    versions = set()
    for _ in range(2):
        torch.save(state_of("edgecount-n"), tmp_path / "best.pt")
        manifest = manifest_of(*load_network(tmp_path / "best.pt"))
        assert manifest.name == "edgecount-n-trained"
        assert manifest.name not in list_models()
        versions.add(manifest.version)
    assert len(versions) == 2
    assert all(version.startswith("0.0.0+") for version in versions)
    assert manifest_of(*load_network(tmp_path / "best.pt")).version == manifest.version
    assert manifest_of(*load_network(tmp_path / "best.pt"), version="1.2.0").version == "1.2.0"


def test_the_longest_side_is_the_one_that_was_trained_with(tmp_path):
    state = state_of()
    del state["config"]["max_side"]  # as older checkpoints have it
    torch.save(state, tmp_path / "best.pt")
    assert manifest_of(*load_network(tmp_path / "best.pt")).input.max_side == 2048
    state["config"]["max_side"] = 6000
    torch.save(state, tmp_path / "best.pt")
    assert manifest_of(*load_network(tmp_path / "best.pt")).input.max_side == 6000


@pytest.mark.parametrize(
    ("model", "objective", "kernels"),
    [
        ("mcnn", {"name": "density", "sigma": 4.0}, (4.0, 0.3, 3, 25.0)),
        ("mcnn", {"name": "density", "beta": 0.5, "max_sigma": 0.0}, (0.0, 0.5, 3, 0.0)),
        ("cfanet", "cfanet", (0.0, 1.0, 3, 0.0)),
        ("raznet", "raznet", (0.0, 0.3, 3, 25.0)),
        ("edgecount-n", "edge", None),
    ],
)
def test_the_manifest_has_the_kernels_that_the_density_was_trained_on(model, objective, kernels):
    values = {"model": model, "objective": objective, "data": [{"reader": "blank"}]}
    state = {"config": config_to_dict(config_from_dict(values)), "step": 3}
    training = manifest_of(build_model(model), state).training
    if kernels is None:
        assert "kernels" not in training
    else:
        assert tuple(training["kernels"].values()) == kernels
        assert list(training["kernels"]) == ["sigma", "beta", "neighbours", "max_sigma"]
