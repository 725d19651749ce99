"""A wider network that starts as a narrow one."""

import pytest
import torch

from edgecount.errors import ConfigError
from edgecount.models import model_path
from edgecount.train.learner import load_matching
from edgecount.train.models import build_model
from edgecount.train.models.grow import grow_channels
from edgecount.train.models.weights import read_arrays

SLIM = {"width": 0.3, "channels": 16, "fine_channels": 8}
WIDE = {"width": 0.5, "channels": 24, "fine_channels": 16}


def _network(**options):
    torch.manual_seed(len(str(options)))
    network = build_model("edgecount-s", options)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):  # default weights give the same map for any image
            torch.nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


def _maps(network, image):
    with torch.no_grad():
        maps = network(image)
    return maps.density, maps.heatmap_logits, maps.offset


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("option", [{}, {"density_stride": 4}, {"zero_inflated": True}])
def test_it_counts_as_the_narrow_one(folded, option):
    slim = _network(**SLIM, folded=folded, **option)
    wide = _network(**WIDE, folded=folded, **option)
    image = torch.randn(2, 3, 64, 96)
    before = _maps(wide, image)
    grow_channels(slim.state_dict(), wide)
    for own, given, first in zip(_maps(wide, image), _maps(slim, image), before, strict=True):
        torch.testing.assert_close(own, given, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(first, given, rtol=0.01, atol=0.01)


def test_every_new_channel_can_learn():
    slim, wide = _network(**SLIM, folded=True), _network(**WIDE, folded=True)
    grow_channels(slim.state_dict(), wide)
    image = torch.randn(2, 3, 64, 96)
    maps = wide(image)
    (maps.density.sum() + maps.heatmap_logits.square().sum()).backward()
    narrow = slim.state_dict()
    for name in ("density.0.0.weight", "backbone.features.9.conv.0.0.weight"):
        inputs = narrow[name].shape[1]
        grown = dict(wide.named_parameters())[name]
        assert not grown[: len(narrow[name]), inputs:].any()  # not read yet
        heard = grown.grad[: len(narrow[name]), inputs:].abs().sum(dim=(0, 2, 3)).gt(0)
        assert heard.float().mean() > 0.7  # a ReLU may be off for this image
        assert grown[len(narrow[name]) :].square().sum(dim=(1, 2, 3)).gt(0).all()
    # No two of the channels are the same: copies with the same gradient would stay copies.
    grown = wide.get_parameter("backbone.features.9.conv.0.0.weight").detach().flatten(1)
    assert (torch.cdist(grown, grown) + torch.eye(len(grown))).min() > 1e-3


def test_the_same_seed_grows_the_same_network():
    slim = _network(**SLIM)
    grown = []
    for seed in (1, 1, 2):
        wide = _network(**WIDE)
        grow_channels(slim.state_dict(), wide, generator=torch.Generator().manual_seed(seed))
        grown.append(wide.state_dict()["density.0.0.weight"])
    assert torch.equal(grown[0], grown[1])
    assert not torch.equal(grown[0], grown[2])


def test_edgecount_m_starts_at_the_counts_of_the_bundled_s():
    small = build_model("edgecount-s", {"folded": True}).eval()
    load_matching(small, model_path("edgecount-s"))
    medium = build_model("edgecount-m", {"folded": True}).eval()
    grow_channels(read_arrays(model_path("edgecount-s")), medium)
    image = torch.randn(1, 3, 128, 160)
    for own, given in zip(_maps(medium, image), _maps(small, image), strict=True):
        torch.testing.assert_close(own, given, rtol=1e-4, atol=1e-4)
    assert sum(weight.numel() for weight in medium.parameters()) < 4_000_000


@pytest.mark.parametrize(
    ("given", "options", "told"),
    [
        ({}, {"zero_inflated": True}, "the same outputs in both networks, got 1 at .* for 2"),
        ({"zero_inflated": True}, {}, "expected the same network with fewer channels, got 2 at"),
        ({"recalibration": True}, {}, "grow_from: expected the same network with fewer channels"),
        ({"heatmap": True}, {"heatmap": False}, "fewer channels, got one with .* more"),
    ],
)
def test_a_network_with_other_layers_or_outputs_does_not_grow(given, options, told):
    slim = _network(**SLIM, folded=True, **given)
    with pytest.raises(ConfigError, match=told):
        grow_channels(slim.state_dict(), _network(**WIDE, folded=True, **options))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"width": 0.6}, r"grow_from: expected the same network with fewer channels, got \d+ at"),
        ({"width": 0.25}, r"grow_from: expected the same shortcuts in both .* model\.width"),
        ({"heatmap": False}, r"grow_from: .* got one without reduce\."),
        ({"folded": True}, r"grow_from: .* a deployed model has no norms .*folded: true"),
    ],
)
def test_another_network_does_not_grow(given, told):
    slim = _network(**(SLIM | given))
    with pytest.raises(ConfigError, match=told):
        grow_channels(slim.state_dict(), _network(**WIDE))


def test_a_network_whose_channels_cannot_be_followed_does_not_grow():
    options = {"backbone": "shufflenet_v2", "width": 0.5}
    shuffled = build_model("edgecount-s", options)
    with pytest.raises(ConfigError, match="grow_from: expected an edge model with a MobileNetV2"):
        grow_channels(shuffled.state_dict(), build_model("edgecount-s", options))
