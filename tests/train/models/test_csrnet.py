"""CSRNet: its shape, its size and its dilations."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.base import Maps  # noqa: E402
from edgecount.train.models.csrnet import CSRNet, dilated_back_end  # noqa: E402
from edgecount.train.models.vgg import VGG16  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CSRNet().eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 72)])
def test_the_density_has_stride_8(network, height, width):
    with torch.no_grad():
        maps = network(torch.randn(2, 3, height, width))
    assert maps.density.shape == (2, 1, height // 8, width // 8)
    assert [(o.role, o.stride, o.unit) for o in network.outputs] == [("density", 8, 1.0)]
    assert network.input.multiple == 8


def test_it_has_the_published_16_26_million_weights(network):
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(16.26, abs=0.005)


def test_the_back_end_is_configuration_b():
    layers = [x for x in dilated_back_end(7) if isinstance(x, torch.nn.Conv2d)]
    assert [x.out_channels for x in layers] == [512, 512, 512, 256, 128, 64, 1]
    assert [x.dilation for x in layers] == [(2, 2)] * 6 + [(1, 1)]
    assert layers[0].in_channels == 7
    assert dilated_back_end(7)(torch.zeros(1, 7, 5, 6)).shape == (1, 1, 5, 6)


def test_the_back_end_sees_twelve_cells_each_way():
    # six 3x3 convolutions at dilation 2: 6 * 2 cells
    back_end = dilated_back_end(4).eval()
    for layer in back_end:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.constant_(layer.weight, 0.01)
    features = torch.zeros(1, 4, 33, 33)
    features[0, 0, 16, 16] = 1.0
    with torch.no_grad():
        reached = back_end(features)[0, 0].nonzero()
    assert reached.amin(0).tolist() == [4, 4]
    assert reached.amax(0).tolist() == [28, 28]


def test_a_density_below_0_is_cut_when_deployed(network):
    (density,) = network.deploy(Maps(torch.tensor([[[[-2.0, 3.0]]]])))
    assert density.flatten().tolist() == [0.0, 3.0]


def test_a_vgg_with_batch_norm_has_the_same_shapes():
    network = CSRNet(batch_norm=True).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 16, 16)).density.shape == (1, 1, 2, 2)
    assert isinstance(network.get_submodule(network.pretrained), VGG16)
