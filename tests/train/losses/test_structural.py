"""CFANet's losses against a brute-force structural similarity and hand-worked numbers."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.structural import (  # noqa: E402
    background_aware_structural_loss,
    background_loss,
    dynamic_weights,
    ssim,
    structural_loss,
)


def _ssim(x, y, window):
    """Mean of SSIM over cells, each from the cells of its window that exist."""
    half, (height, width) = window // 2, x.shape
    values = []
    for i in range(height):
        for j in range(width):
            cut = (
                slice(max(i - half, 0), i + half + 1),
                slice(max(j - half, 0), j + half + 1),
            )
            a, b = x[cut], y[cut]
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            luminance = (2 * a.mean() * b.mean() + 0.01) / (a.mean() ** 2 + b.mean() ** 2 + 0.01)
            structure = (2 * covariance + 0.03) / (a.var() + b.var() + 0.03)
            values.append(luminance * structure)
    return float(np.mean(values))


def _pair(height=14, width=9):
    generator = torch.Generator().manual_seed(5)
    shape = (2, 1, height, width)
    return (
        torch.rand(shape, generator=generator, dtype=torch.float64),
        torch.rand(shape, generator=generator, dtype=torch.float64) * 2,
    )


@pytest.mark.parametrize("window", [3, 11])
def test_ssim_is_that_of_brute_force_over_windows(window):
    x, y = _pair()
    expected = [_ssim(a[0].numpy(), b[0].numpy(), window) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y, window=window).tolist() == pytest.approx(expected, rel=1e-9)


def test_ssim_of_equal_maps_is_1_and_of_opposite_ones_below_0():
    x, _ = _pair()
    assert ssim(x, x).tolist() == pytest.approx([1.0, 1.0])
    assert (ssim(10 * x, 10 * (1 - x)) < 0).all()
    empty = torch.zeros(1, 1, 4, 4)
    assert ssim(empty, empty).item() == pytest.approx(1.0)


def test_structural_loss_is_the_mean_over_pooled_sizes():
    x, y = _pair(16, 8)
    expected = []
    for level in (1, 2, 4):
        a, b = (
            m.reshape(2, 16 // level, level, 8 // level, level).mean((2, 4)).numpy() for m in (x, y)
        )
        expected.append(1 - np.mean([_ssim(a[i], b[i], 11) for i in range(2)]))
    assert structural_loss(x, y).item() == pytest.approx(np.mean(expected), rel=1e-9)
    assert structural_loss(x, y, levels=1).item() == pytest.approx(expected[0], rel=1e-9)


def test_structural_loss_takes_sizes_that_pooling_does_not_divide():
    x, y = _pair(7, 5)
    assert structural_loss(x, x).item() == pytest.approx(0.0, abs=1e-12)
    assert 0.0 < structural_loss(x, y).item() < 2.0


def test_background_loss_is_the_share_of_people_off_the_crowd():
    density = torch.tensor([[[[3.0, 1.0]]], [[[2.0, 2.0]]]])
    attention = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    assert background_loss(density, attention).item() == pytest.approx((0.25 + 1.0) / 2)


def test_negative_density_is_nobody_in_the_background_loss():
    density = torch.tensor([[[[3.0, 1.0, -5.0]]]])
    attention = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    assert background_loss(density, attention).item() == pytest.approx(0.25)


def test_a_total_below_one_counts_as_one_so_that_the_gradient_is_bounded():
    density = torch.full((1, 1, 1, 2), 1e-8, requires_grad=True)
    loss = background_loss(density, torch.tensor([[[[1.0, 0.0]]]]))
    loss.backward()
    assert loss.item() == pytest.approx(1e-8)
    assert density.grad.flatten().tolist() == [0.0, 1.0]


def test_the_background_aware_loss_is_the_sum_of_both():
    x, y = _pair()
    attention = (y > 1.0).double()
    torch.testing.assert_close(
        background_aware_structural_loss(x, y, attention),
        structural_loss(x, y) + background_loss(x, attention),
    )


def test_attention_weighs_most_at_first_and_never_nothing():
    weights = [dynamic_weights(progress / 20) for progress in range(21)]
    assert weights[0] == (1.0, 1.0)
    assert all(later <= earlier for earlier, later in pairwise(weights))
    assert weights[10] == weights[-1] == pytest.approx((0.1, 0.1))
