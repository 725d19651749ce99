"""Losses against what they claim."""

import math

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses import block_count_loss, heatmap_focal_loss, offset_loss  # noqa: E402


def test_a_perfect_rate_costs_nothing_and_any_other_costs():
    counts = torch.poisson(
        torch.full((2, 1, 8, 8), 0.7), generator=torch.Generator().manual_seed(1)
    )
    perfect = counts.clamp_min(1e-6)
    assert block_count_loss(perfect, counts).item() == pytest.approx(0.0, abs=1e-4)
    assert block_count_loss(perfect * 1.3, counts) > 0.01
    assert block_count_loss(perfect * 0.7, counts) > 0.01


def test_the_best_constant_rate_of_the_poisson_term_is_the_mean():
    # An L1 on the same cells would choose their median, 0: the bias this loss is there to avoid.
    counts = torch.zeros(1, 1, 8, 8)
    counts[..., ::4, ::4] = 1.0
    rates = torch.linspace(0.01, 0.2, 96)
    losses = [
        block_count_loss(
            torch.full_like(counts, rate), counts, levels=(1,), total_weight=0.0
        ).item()
        for rate in rates.tolist()
    ]
    best = rates[losses.index(min(losses))].item()
    assert best == pytest.approx(counts.mean().item(), abs=0.003)


def test_total_term_is_the_error_over_its_poisson_scale():
    counts = torch.zeros(1, 1, 4, 4)
    counts[0, 0, 0, 0] = 9.0
    density = counts.clamp_min(1e-6) * (12.0 / 9.0)
    with_total = block_count_loss(density, counts, levels=(1,), total_weight=1.0)
    without = block_count_loss(density, counts, levels=(1,), total_weight=0.0)
    assert (with_total - without).item() == pytest.approx(3.0 / math.sqrt(25.0), rel=1e-4)


def test_focal_loss_by_hand():
    logits = torch.tensor([[[[0.0, 2.0]]]])
    target = torch.tensor([[[[1.0, 0.5]]]])
    p = 1 / (1 + math.exp(-2.0))
    expected = -0.25 * math.log(0.5) - 0.5**4 * p**2 * math.log(1 - p)
    assert heatmap_focal_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_is_finite_and_has_gradients_at_extreme_logits():
    logits = torch.tensor([[[[-90.0, 90.0, 0.0]]]], requires_grad=True)
    loss = heatmap_focal_loss(logits, torch.tensor([[[[1.0, 0.0, 0.3]]]]))
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert loss.item() == pytest.approx(180.0, rel=0.01)


def test_focal_loss_counts_images_without_heads():
    empty = torch.zeros(2, 1, 3, 3)
    assert heatmap_focal_loss(torch.zeros(2, 1, 3, 3), empty).item() == pytest.approx(
        9 * 0.25 * math.log(2.0), rel=1e-5
    )


def test_offset_loss_looks_at_heads_only():
    offset, target = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    mask = torch.zeros(1, 1, 2, 2)
    assert offset_loss(offset, target, mask).item() == 0.0
    mask[0, 0, 0, 0] = 1.0
    target[0, 1, 0, 0] = 0.5
    assert offset_loss(offset, target, mask).item() == pytest.approx(0.75)
