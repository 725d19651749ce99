"""A narrower network takes the channels that carry something."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps, Network  # noqa: E402
from edgecount.train.models.prune import channels_of, prune_channels  # noqa: E402


@pytest.fixture
def wide():
    torch.manual_seed(0)
    network = build_model("edgecount-s", {"width": 0.35, "channels": 24, "fine_channels": 16})
    with torch.no_grad():
        for _ in range(2):
            network.train()(torch.randn(2, 3, 64, 64))
    return network.eval()


def test_channels_that_are_added_stay_together(wide):
    ends = channels_of(wide)
    assert ends["backbone.features.3.conv.3"][1] is ends["backbone.features.2.conv.3"][1]
    assert ends["down8.lateral.1"][1] is ends["down16.smooth.1.1"][1]
    assert ends["backbone.features.4.conv.3"][1] is not ends["backbone.features.3.conv.3"][1]


def test_dead_channels_are_the_ones_dropped(wide):
    """Half of the channels of the neck at stride 4 do nothing: the answer is the same without."""
    slim = build_model("edgecount-s", {"width": 0.35, "channels": 24, "fine_channels": 8})
    given, own = channels_of(wide), channels_of(slim)
    killed = 0
    with torch.no_grad():
        for name, (_, after) in given.items():
            if isinstance(wide.get_submodule(name), torch.nn.BatchNorm2d):
                spare = after.number - own[name][1].number
                dead = torch.arange(after.number)[1::2][:spare]
                wide.get_submodule(name).weight[dead] = 0.0
                wide.get_submodule(name).bias[dead] = 0.0
                killed += len(dead)
        image = torch.randn(1, 3, 64, 96)
        expected = wide(image)
        prune_channels(wide, slim)
        found = slim.eval()(image)
    assert killed > 40
    torch.testing.assert_close(found.heatmap_logits, expected.heatmap_logits)
    torch.testing.assert_close(found.density, expected.density)


def test_the_same_width_is_a_copy(wide):
    same = build_model("edgecount-s", {"width": 0.35, "channels": 24, "fine_channels": 16})
    prune_channels(wide, same)
    for name, value in same.state_dict().items():
        assert torch.equal(value, wide.state_dict()[name])


def test_another_or_a_wider_network_is_refused(wide):
    with pytest.raises(ConfigError, match="same network"):
        prune_channels(wide, build_model("edgecount-s", {"heatmap": False}))
    with pytest.raises(ConfigError, match="expected a wider network"):
        prune_channels(wide, build_model("edgecount-s", {"width": 0.5}))


def test_s_becomes_n():
    wide, slim = build_model("edgecount-s", {}), build_model("edgecount-n", {})
    prune_channels(wide, slim)
    stem = "backbone.features.0.0.weight"
    filters = {tuple(each.flatten().tolist()) for each in wide.state_dict()[stem]}
    assert all(tuple(each.flatten().tolist()) in filters for each in slim.state_dict()[stem])


@pytest.mark.parametrize("widths", [(0.35, 0.2), (0.2, 0.08)])
def test_other_shortcuts_are_refused(widths):
    """Width decides where a block keeps its channels, and so has a shortcut."""
    wide, slim = (build_model("edgecount-n", {"width": width}) for width in widths)
    with pytest.raises(ConfigError, match=r"same shortcuts .* at backbone\.features\.\d+\.conv"):
        prune_channels(wide, slim)


def test_shortcuts_of_the_wide_network_alone_are_refused():
    """Turned off by hand: the sizes fit, the channels would be another set's."""
    wide, slim = build_model("edgecount-n", {}), build_model("edgecount-n", {})
    slim.get_submodule("backbone.features.3").shortcut = False
    with pytest.raises(ConfigError, match="same shortcuts"):
        prune_channels(wide, slim)


@pytest.mark.parametrize(
    ("name", "options", "operation"),
    [
        ("edgecount-n", {"focus": True}, "mul"),
        ("edgecount-n", {"recalibration": True}, "getitem"),
        ("edgecount-n", {"backbone": "shufflenet_v2"}, "cat"),
        ("mcnn", {}, "conv2d"),
    ],
)
def test_channels_that_are_joined_or_split_are_refused(name, options, operation):
    network = build_model(name, options)
    with pytest.raises(ConfigError, match=f"MobileNetV2, got .* channels in {operation}$"):
        prune_channels(network, network)


def test_a_head_of_two_outputs_may_take_them_apart():
    wide = build_model("edgecount-n", {"zero_inflated": True, "channels": 32})
    slim = build_model("edgecount-n", {"zero_inflated": True, "channels": 24})
    prune_channels(wide, slim)
    assert torch.equal(slim.state_dict()["density.1.bias"], wide.state_dict()["density.1.bias"])


class Choosy(Network):
    """Its operations depend on the picture."""

    def forward(self, image):
        return Maps(image if image.mean() > 0 else -image)


class Shared(Network):
    """It runs one layer twice."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 1)

    def forward(self, image):
        return Maps(self.layer(self.layer(image)))


class Scaled(Network):
    """It has a parameter outside of its layers."""

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        return Maps(image + self.level)


@pytest.mark.parametrize(
    ("network", "reason"),
    [(Choosy, "cannot be traced"), (Shared, "in layer$"), (Scaled, "level is of no convolution")],
)
def test_what_cannot_be_followed_is_refused(network, reason):
    with pytest.raises(ConfigError, match=f"MobileNetV2, got {network.__name__}: .*{reason}"):
        channels_of(network())
