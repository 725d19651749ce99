"""HSRNet: its maps, its size, and the switches of its ablations."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.models.hsrnet import HSRNet  # noqa: E402

BASELINE = {"recalibration": False, "channel_focus": False, "spatial_focus": False}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HSRNet().eval()


@pytest.fixture
def narrow_vgg(monkeypatch):
    stages = ((8, 2), (8, 2), (16, 3), (16, 3), (24, 3))
    monkeypatch.setattr("edgecount.train.models.vgg._STAGES", stages)


def _count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 48)])
def test_the_density_and_five_scales_have_the_input_size(network, height, width):
    with torch.no_grad():
        maps = network(torch.randn(2, 3, height, width))
    assert maps.density.shape == (2, 1, height, width)
    assert [tuple(d.shape) for d in maps.auxiliary["scales"]] == [(2, 1, height, width)] * 5
    assert [(o.role, o.stride, o.unit) for o in network.outputs] == [("density", 1, 1.0)]
    assert network.input.multiple == 16


def test_the_modules_add_little_to_vgg_16(network):
    focus = sum(2 * c * (c // 64) + 7 * 7 + 1 for c in (128, 256, 512, 512))
    channels = ((128, 2), (256, 3), (512, 4), (512, 5))
    scores = sum((c + 1) * maps for c, maps in channels)
    enlarging = sum(
        maps * kernel**2 for (_, maps), kernel in zip(channels, (4, 8, 16, 32), strict=True)
    )
    predictions = (4 + 1) + (4 + 1) + (3 + 1) + (2 + 1) + (1 + 1)
    fusion = 5 + 1
    extra = focus + scores + enlarging + predictions + fusion
    assert _count(network) == 14_714_688 + extra
    assert extra == 31_183


def test_focus_is_on_the_last_four_stages_and_wider_ones_have_more_hidden_units(network):
    assert [f.channel.reduce.out_channels for f in network.focus] == [2, 4, 8, 8]


@pytest.mark.parametrize(
    "options",
    [
        BASELINE,
        {"recalibration": False},
        {"channel_focus": False, "spatial_focus": False},
        {"spatial_focus": False},
        {"focus_order": "spatial-channel"},
        {"focus_order": "parallel-average"},
        {"focus_order": "parallel-conv"},
        {"reduction": 16},
    ],
)
def test_every_switch_gives_a_density_that_trains_every_weight(options, narrow_vgg):
    network = HSRNet(**options)
    maps = network(torch.randn(1, 3, 16, 32))
    assert maps.density.shape == (1, 1, 16, 32)
    maps.density.sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_baseline_is_vgg_16_and_one_convolution():
    network = HSRNet(**BASELINE).eval()
    assert _count(network) == 14_714_688 + 512 + 1
    assert network.outputs[0].stride == 1
    image = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        maps = network(image)
        cells = network.output(network.features(image)[-1])
    assert maps.density.sum().item() == pytest.approx(cells.sum().item(), rel=1e-4)
    assert maps.auxiliary == {}


def test_the_deployed_density_is_cut_at_0(network):
    (density,) = network.deploy(Maps(torch.tensor([[[[-0.5, 0.25]]]])))
    assert density.flatten().tolist() == [0.0, 0.25]
