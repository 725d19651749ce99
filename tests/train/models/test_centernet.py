"""CenterNet: its maps, its size, and how the up-sampling path aggregates."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.centernet import Aggregation, UpSampling  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_model("centernet", {"head_channels": 32}).eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96)])
def test_maps_at_stride_4(network, height, width):
    with torch.no_grad():
        maps = network(torch.randn(2, 3, height, width))
    h, w = height // 4, width // 4
    assert maps.density is None
    assert maps.heatmap_logits.shape == (2, 1, h, w)
    assert maps.offset.shape == (2, 2, h, w)
    assert maps.size.shape == (2, 2, h, w)
    assert 0 <= maps.offset.min() <= maps.offset.max() <= 1
    assert maps.size.min() > 0


def test_deployed_maps_are_heatmap_offset_and_the_side_of_a_square(network):
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 64, 64))
        heatmap, offset, size = network.deploy(maps)
    assert [output.role for output in network.outputs] == ["heatmap", "offset", "size"]
    torch.testing.assert_close(heatmap, torch.sigmoid(maps.heatmap_logits))
    torch.testing.assert_close(offset, maps.offset)
    torch.testing.assert_close(size**2, maps.size[:, :1] * maps.size[:, 1:])


def test_heads_start_improbable():
    network = build_model("centernet", {"head_channels": 8})
    assert torch.sigmoid(network.heatmap[-1].bias).item() == pytest.approx(0.1, abs=0.001)


def test_parameters_with_deformable_convolutions_are_near_the_authors():
    # Theirs holds 20.2 M: ours, ImageNet's classifier (0.51 M), and what 79 more classes need.
    network = build_model("centernet", {"up": "deformable"})
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(19.6, abs=0.1)
    plain = build_model("centernet")
    assert sum(p.numel() for p in plain.parameters()) / 1e6 == pytest.approx(19.0, abs=0.1)


def test_deformable_convolutions_replace_every_node_of_the_path():
    up = UpSampling((4, 8, 16, 32), "deformable").eval()
    maps = [torch.randn(1, 4 << n, 8 >> n, 8 >> n) for n in range(4)]
    assert up(maps).shape == (1, 4, 8, 8)
    kinds = [type(layer).__name__ for layer in up.modules()]
    # 1 + 2 + 3 + 2 aggregations of two nodes each, whose offsets are plain convolutions
    assert kinds.count("DeformableConv2d") == kinds.count("Conv2d") == 16


def test_an_aggregation_adds_the_enlarged_coarse_map_to_the_fine_one():
    aggregation = Aggregation(1, (1, 1), (1, 2), "plain").eval()
    for node in (aggregation.project[0], aggregation.node[0]):
        node[0].weight.data = torch.zeros(1, 1, 3, 3)
        node[0].weight.data[0, 0, 1, 1] = 1.0
    fine, coarse = torch.rand(1, 1, 8, 8), torch.full((1, 1, 4, 4), 3.0)
    with torch.no_grad():
        first, second = aggregation([fine, coarse])
    assert first is fine
    inside = (..., slice(1, -1), slice(1, -1))  # bilinear interpolation fades at the border
    torch.testing.assert_close(second[inside], fine[inside] + 3.0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("up", ["plain", "deformable"])
def test_every_weight_gets_a_gradient(up):
    network = build_model("centernet", {"head_channels": 8, "up": up}).train()
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.heatmap_logits.sum() + maps.offset.sum() + maps.size.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_the_light_one_gives_the_same_maps_from_the_edge_models_backbone():
    network = build_model("centernet-light", {"width": 0.25, "channels": 16}).eval()
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 64, 96))
    assert maps.heatmap_logits.shape == (1, 1, 16, 24)
    assert maps.offset.shape == maps.size.shape == (1, 2, 16, 24)
    assert network.input == build_model("edgecount-s").input
    assert sum(p.numel() for p in build_model("centernet-light").parameters()) < 2.3e6


def test_linear_heads_are_cut_to_their_range_when_deployed_alone():
    options = {"width": 0.25, "channels": 16, "offset": "linear", "size": "linear"}
    network = build_model("centernet-light", options).eval()
    for head, bias in ((network.offset, (-0.5, 1.5)), (network.size, (-2.0, 3.0))):
        torch.nn.init.zeros_(head[-1].weight)
        head[-1].bias.data = torch.tensor(bias)
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 32, 32))
        _, offset, size = network.deploy(maps)
    assert maps.offset[0, :, 0, 0].tolist() == [-0.5, 1.5]
    assert maps.size[0, :, 0, 0].tolist() == [-8.0, 12.0]
    assert offset[0, :, 0, 0].tolist() == [0.0, 1.0]
    assert size.unique().tolist() == [0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "mobilenet_v2", "up": "deformable"}, "model.up: expected plain"),
        ({"width": 0.5}, "model.width: expected 1.0 of dla34"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("centernet", options)
