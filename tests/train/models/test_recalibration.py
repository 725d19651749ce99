"""The Scale Recalibration Module: slices, stacks, and the way to the target's size."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.recalibration import (  # noqa: E402
    ScaleRecalibration,
    bilinear_upsampling,
)

# which score maps of stages 2 to 5 each scale is made of, as HSRNet's section 3.2 lists them
SETS = [
    ["21", "31", "41", "51"],
    ["22", "32", "42", "52"],
    ["33", "43", "53"],
    ["44", "54"],
    ["55"],
]


@pytest.fixture
def module():
    torch.manual_seed(0)
    return ScaleRecalibration([6, 5, 4, 3], [2, 4, 8, 16]).eval()


def _features(height=32, width=48):
    strides = (2, 4, 8, 16)
    return [
        torch.randn(1, c, height // s, width // s)
        for c, s in zip((6, 5, 4, 3), strides, strict=True)
    ]


def test_every_map_has_the_size_of_the_input(module):
    with torch.no_grad():
        fused, scales = module(_features())
    assert fused.shape == (1, 1, 32, 48)
    assert [tuple(scale.shape) for scale in scales] == [(1, 1, 32, 48)] * 5
    assert [score.out_channels for score in module.scores] == [2, 3, 4, 5]
    assert [p.in_channels for p in module.predict] == [len(pieces) for pieces in SETS]


@pytest.mark.parametrize("stage", [2, 3, 4, 5])
def test_each_score_map_moves_the_scale_of_its_number_alone(module, stage):
    for score in module.scores:
        torch.nn.init.zeros_(score.weight)
        torch.nn.init.zeros_(score.bias)
    for number in range(1, stage + 1):
        bias = torch.zeros(stage)
        bias[number - 1] = 1.0
        module.scores[stage - 2].bias.data = bias
        with torch.no_grad():
            fused, scales = module(_features())
        centre = [scale[0, 0, 16, 24].item() for scale in scales]
        expected = [f"{stage}{number}" in pieces for pieces in SETS]
        assert [value != 0 for value in centre] == expected
        share = 1 / len(SETS[number - 1])
        assert centre[number - 1] == pytest.approx(share)
        assert fused[0, 0, 16, 24].item() == pytest.approx(share / 5)


def test_pieces_keep_the_order_of_their_stages(module):
    module.predict[2].weight.data = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    for index, score in enumerate(module.scores):
        torch.nn.init.zeros_(score.weight)
        torch.nn.init.constant_(score.bias, float(index))
    with torch.no_grad():
        _, scales = module(_features())
    assert scales[2][0, 0, 16, 24].item() == pytest.approx(1 * 1 + 2 * 10 + 3 * 100)


def test_three_stages_at_a_coarser_target():
    module = ScaleRecalibration([4, 4, 4], [8, 16, 32], target_stride=8)
    features = [torch.randn(2, 4, 64 // s, 96 // s) for s in (8, 16, 32)]
    fused, scales = module(features)
    assert fused.shape == (2, 1, 8, 12)
    assert len(scales) == 4
    assert isinstance(module.enlarge[0], torch.nn.Identity)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlarging_starts_as_bilinear_interpolation(factor):
    maps = torch.randn(1, 3, 6, 5)
    with torch.no_grad():
        enlarged = bilinear_upsampling(3, factor)(maps)
    expected = torch.nn.functional.interpolate(
        maps, scale_factor=float(factor), mode="bilinear", align_corners=False
    )
    assert enlarged.shape == expected.shape
    # within half a cell of the border, zeros beyond it come in
    inner = (..., slice(factor // 2, -factor // 2), slice(factor // 2, -factor // 2))
    torch.testing.assert_close(enlarged[inner], expected[inner])


def test_every_weight_gets_a_gradient(module):
    fused, _ = module(_features())
    fused.sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == []


def test_the_last_layers_start_from_gaussians_where_asked():
    torch.manual_seed(0)
    drawn = []
    for _ in range(200):
        module = ScaleRecalibration([4, 4, 4, 4], [2, 4, 8, 16], start="gaussian")
        layers = [*module.predict, module.fuse]
        assert all(float(layer.bias.detach().abs().max()) == 0.0 for layer in layers)
        drawn += [layer.weight.detach().flatten() for layer in layers]
    weights = torch.cat(drawn)
    assert float(weights.std()) == pytest.approx(0.01, rel=0.05)
    assert float(weights.mean()) == pytest.approx(0.0, abs=0.001)
