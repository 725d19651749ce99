"""RAZ-Net: its two branches, alone and together."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Maps  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_model("raznet").eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 48)])
def test_density_at_stride_8_and_heatmap_at_the_input_size(network, height, width):
    with torch.no_grad():
        maps = network(torch.randn(2, 3, height, width))
    assert maps.density.shape == (2, 1, height // 8, width // 8)
    assert maps.heatmap_logits.shape == (2, 1, height, width)
    assert [(o.role, o.stride) for o in network.outputs] == [("density", 8), ("heatmap", 1)]


def test_the_counting_branch_alone_is_csrnet():
    counting = build_model("raznet", {"localization": False}).eval()
    csrnet = build_model("csrnet").eval()
    csrnet.load_state_dict(counting.state_dict())
    assert sum(p.numel() for p in counting.parameters()) / 1e6 == pytest.approx(16.26, abs=0.01)
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(counting(image).density, csrnet(image).density)
        assert counting(image).heatmap_logits is None
    assert [output.role for output in counting.outputs] == ["density"]


def test_localization_alone_gives_no_density():
    network = build_model("raznet", {"counting": False}).eval()
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 32, 32))
    assert maps.density is None
    assert [output.role for output in network.outputs] == ["heatmap"]
    assert len(network.deploy(maps)) == 1


def test_a_network_without_branches():
    with pytest.raises(ConfigError, match="counting, localization or both"):
        build_model("raznet", {"counting": False, "localization": False})


def test_three_transposed_convolutions_double_the_size(network):
    layers = [x for x in network.localization if isinstance(x, torch.nn.ConvTranspose2d)]
    assert [layer.stride for layer in layers] == [(2, 2)] * 3


def test_the_deployed_heatmap_is_averaged_three_by_three(network):
    logits = torch.full((1, 1, 5, 5), -100.0)
    logits[0, 0, 2, 2] = 0.0
    density = torch.tensor([[[[-1.0, 2.0]]]])
    deployed_density, heatmap = network.deploy(Maps(density, logits))
    torch.testing.assert_close(deployed_density, torch.tensor([[[[0.0, 2.0]]]]))
    expected = torch.zeros(5, 5)
    expected[1:4, 1:4] = 0.5 / 9
    torch.testing.assert_close(heatmap[0, 0], expected)


def test_the_target_of_one_head_gives_one_peak_when_averaged(network):
    from edgecount import _ext

    logits = torch.full((1, 1, 9, 9), -100.0)
    for row, column in ((4, 4), (3, 4), (5, 4), (4, 3), (4, 5)):
        logits[0, 0, row, column] = 100.0
    _, heatmap = network.deploy(Maps(torch.zeros(1, 1, 1, 1), logits))
    (peaks,) = _ext.count_maps(heatmap[0].numpy(), threshold=0.4).peaks
    assert peaks.tolist() == [pytest.approx([4.5, 4.5, 5 / 9], abs=1e-5)]


def test_heads_start_improbable(network):
    with torch.no_grad():
        heatmap = network(torch.randn(1, 3, 32, 32)).heatmap_logits.sigmoid()
    assert heatmap.mean().item() == pytest.approx(0.01, abs=0.002)


def test_every_weight_gets_a_gradient():
    network = build_model("raznet").train()
    maps = network(torch.randn(1, 3, 32, 32))
    (maps.density.sum() + maps.heatmap_logits.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_both_counts_are_blended_on_a_grid_of_4_x_4():
    from edgecount.train.manifest import manifest_of

    config = {"model": "raznet", "objective": "raznet", "data": [{"reader": "blank"}]}
    state = {"config": config, "step": 1}
    fusion = manifest_of(build_model("raznet"), state).postprocess.fusion
    assert fusion is not None
    assert fusion.grid == 4
