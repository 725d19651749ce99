"""Networks without norms: what a deployed model's weights fit."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgecount.errors import ModelError  # noqa: E402
from edgecount.runtime.models.open import open_model  # noqa: E402
from edgecount.train.learner import load_matching  # noqa: E402
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
