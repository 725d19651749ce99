"""The mean of checkpoints: its weights, and what is refused."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.models import model_path  # noqa: E402
from edgecount.train.checkpoint import save_checkpoint  # noqa: E402
from edgecount.train.config import config_from_dict, config_to_dict  # noqa: E402
from edgecount.train.learner import load_matching  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.relay.average import average  # noqa: E402


@pytest.fixture
def checkpoint(tmp_path):
    def write(name: str, value: float, *, size: int = 2, step: int = 1) -> Path:
        weights = {"w": torch.full((size,), value), "seen": torch.tensor(step)}
        save_checkpoint(tmp_path / name, {"ema": weights, "config": {"of": name}, "step": step})
        return tmp_path / name

    return write


def test_a_mean_of_equal_shares(checkpoint):
    mean = average([checkpoint("a", 1.0), checkpoint("b", 3.0), checkpoint("c", 8.0, step=7)])
    assert mean["ema"]["w"].tolist() == [4.0, 4.0]
    assert mean["ema"]["w"].dtype == torch.float32
    assert mean["ema"]["seen"] == 7
    assert (mean["config"], mean["step"]) == ({"of": "c"}, 7)
    assert "postprocess" not in mean


def test_shares(checkpoint):
    mean = average([checkpoint("a", 1.0), checkpoint("b", 5.0)], [3, 1])
    assert mean["ema"]["w"].tolist() == [2.0, 2.0]


def test_what_is_refused(checkpoint, tmp_path):
    one, other = checkpoint("a", 1.0), checkpoint("b", 1.0, size=3)
    with pytest.raises(ConfigError, match="two checkpoints or more, got 1"):
        average([one])
    with pytest.raises(ConfigError, match=r"a has another network than .*b"):
        average([one, other])
    for shares in ([1.0], [1.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(ConfigError, match="a share above 0 for each of 2"):
            average([one, one], shares)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        average([one, tmp_path / "none.pt"])


def test_a_deployed_model_counts_as_a_checkpoint(tmp_path):
    config = config_from_dict(
        {"model": {"name": "edgecount-n", "folded": True}, "data": [{"reader": "scenes"}]}
    )
    network = build_model(config.model.name, config.model.options)
    load_matching(network, model_path("edgecount-n"))
    weights = network.state_dict()
    threefold = {name: value * 3 for name, value in weights.items()}
    state = {"ema": threefold, "config": config_to_dict(config), "step": 1}
    save_checkpoint(tmp_path / "last.pt", state)
    mean = average([model_path("edgecount-n"), tmp_path / "last.pt"])
    assert mean["ema"].keys() == weights.keys()
    for name, value in weights.items():
        torch.testing.assert_close(mean["ema"][name], value * 2)
    with pytest.raises(ConfigError, match="a checkpoint of edgecount train as the last"):
        average([tmp_path / "last.pt", model_path("edgecount-n")])
