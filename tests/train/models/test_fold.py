"""Networks without norms: what a deployed model's weights fit."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgecount.errors import ConfigError, ModelError  # noqa: E402
from edgecount.runtime.models.open import open_model  # noqa: E402
from edgecount.train.checkpoint import save_checkpoint  # noqa: E402
from edgecount.train.config import config_from_dict  # noqa: E402
from edgecount.train.learner import load_initial_weights, load_matching  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.fold import fold_batch_norm  # noqa: E402
from edgecount.train.open_trainable import open_trainable  # noqa: E402


def norms(network):
    return [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize("name", ["edgecount-s", "edgecount-n"])
def test_a_folded_network_has_no_norms_and_is_trained(name):
    network = build_model(name, {"folded": True})
    assert network.training
    assert not norms(network)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert norms(build_model(name))
    names = set(network.state_dict())
    assert names == set(fold_batch_norm(build_model(name)).state_dict())


def test_the_weights_of_a_deployed_model_are_taken_up():
    path = open_model("edgecount-s").path
    network = build_model("edgecount-s", {"folded": True})
    load_matching(network, path)
    deployed, _, _ = open_trainable("edgecount-s")
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(image).density, deployed(image).density)


def test_a_network_with_norms_is_refused():
    path = open_model("edgecount-s").path
    with pytest.raises(ModelError, match=r"does not fit: expected .* got none; .*folded: true"):
        load_matching(build_model("edgecount-s"), path)
    with pytest.raises(ModelError, match=r"expected .* of shape \(.*, got shape "):
        load_matching(build_model("edgecount-n", {"folded": True}), path)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, caplog):
    path = tmp_path / "last.pt"
    state = {"config": {}, "step": 1, "ema": build_model("edgecount-s").state_dict()}
    save_checkpoint(path, state)
    # Counters of batch norms and single numbers fit; no weight does.
    with pytest.raises(ConfigError, match=r"weights: \d+ of the network's [\d,]+ weights are in "):
        load_matching(build_model("edgecount-n"), path)
    with pytest.raises(ConfigError, match=r"has batch norms, and .* set model.folded as it was"):
        load_matching(build_model("edgecount-s", {"folded": True}), path)
    load_matching(build_model("edgecount-s"), path)
    assert not caplog.text
    with caplog.at_level("WARNING"):
        load_matching(build_model("edgecount-s", {"density_stride": 4}), path)
    assert "the others start anew" in caplog.text


def test_weights_that_are_left_out_start_anew():
    path = open_model("edgecount-s").path
    torch.manual_seed(0)
    network = build_model("edgecount-s", {"folded": True, "density_stride": 4})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_matching(network, path, ["density"])
    given, _, _ = open_trainable("edgecount-s")
    deployed = given.state_dict()
    for name, value in network.state_dict().items():
        expected = before if name.startswith("density") else deployed
        torch.testing.assert_close(value, expected[name])


def test_left_out_weights_that_no_network_has_are_refused(tmp_path):
    path = open_model("edgecount-s").path
    network = build_model("edgecount-s", {"folded": True})
    with pytest.raises(ConfigError, match=r"initial_except: expected .*, got 'densty', which none"):
        load_matching(network, path, ["backbone", "densty"])
    with pytest.raises(ConfigError, match=r"initial_except: .* got weights.npz"):
        load_matching(network, tmp_path / "weights.npz", ["backbone"])


def test_norms_of_imagenet_weights_are_folded_into_a_network_without_norms(tmp_path):
    torch.manual_seed(0)
    options = {"backbone": "efficientnet_lite0", "blocks": 12}
    whole = build_model("edgecount-s", options).backbone.eval()
    for norm in norms(whole):
        torch.nn.init.uniform_(norm.running_mean, -1, 1)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.save(whole.state_dict(), tmp_path / "lite0.pth")
    folded = {**options, "folded": True}
    config = config_from_dict(
        {
            "model": {"name": "edgecount-s", **folded},
            "data": [{"reader": "blank"}],
            "data_root": str(tmp_path),
            "backbone_weights": "lite0.pth",
        }
    )
    network = build_model("edgecount-s", folded)
    load_initial_weights(network, config, mixture=None)
    assert all(parameter.requires_grad for parameter in network.parameters())
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected, got = whole(image), network.eval().backbone(image)
    for stride, taps in expected.items():
        torch.testing.assert_close(got[stride], taps, rtol=1e-4, atol=1e-4)
