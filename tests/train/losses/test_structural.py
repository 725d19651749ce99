"""CFANet's losses against a brute-force structural similarity and hand-worked numbers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.structural import (  # noqa: E402
    background_aware_structural_loss,
    background_loss,
    shifting_weight,
    ssim,
    structural_loss,
)


def _ssim(x, y, window, c1=0.01, c2=0.03):
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
            luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
            structure = (2 * covariance + c2) / (a.var() + b.var() + c2)
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
@pytest.mark.parametrize(("squared", "constants"), [(True, (1e-4, 9e-4)), (False, (0.01, 0.03))])
def test_ssim_is_that_of_brute_force_over_windows(window, squared, constants):
    x, y = _pair()
    expected = [
        _ssim(a[0].numpy(), b[0].numpy(), window, *constants) for a, b in zip(x, y, strict=True)
    ]
    assert ssim(x, y, window=window, squared=squared).tolist() == pytest.approx(expected, rel=1e-9)


def test_the_constants_are_the_papers_and_hide_sparse_people_more_than_their_squares():
    # A crowd of part B in CFANet's units: a flat 0.04 (a person in 35 x 35 px, times 50). Of an
    # empty map all windows give C1 / (0.04^2 + C1), of which the loss is 1 minus that.
    target = torch.full((1, 1, 16, 16), 0.04, dtype=torch.float64)
    empty = torch.zeros_like(target)
    assert structural_loss(empty, target).item() == pytest.approx(0.0016 / 0.0116)
    assert structural_loss(empty, target, squared=True).item() == pytest.approx(0.0016 / 0.0017)


def test_squared_constants_leave_an_empty_map_next_to_no_gradient():
    # One head in 4 cells; the slope of the loss at 0 in the direction of the truth.
    target = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    target[..., 5:7, 5:7] = 1.0
    slopes = []
    for squared in (False, True):
        empty = torch.zeros_like(target, requires_grad=True)
        structural_loss(empty, target, levels=1, squared=squared).backward()
        slopes.append(-float((empty.grad * target).sum()))
    assert slopes[0] > 3 * slopes[1] > 0


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


def test_the_floor_is_in_people_and_0_leaves_the_share_as_printed():
    density = torch.tensor([[[[0.3, 0.1]]]], dtype=torch.float64)
    attention = torch.tensor([[[[1.0, 0.0]]]])
    whole = background_loss(density, attention, person=50.0, floor=1.0)
    assert whole.item() == pytest.approx(0.1 / 50)
    half = background_loss(density, attention, person=1.0, floor=0.5)
    assert half.item() == pytest.approx(0.1 / 0.5)
    assert background_loss(density, attention, floor=0.0).item() == pytest.approx(0.25)
    assert background_loss(0.0 * density, attention, floor=0.0).item() == 0.0


@pytest.mark.parametrize(("options", "least"), [({"floor": 1.0}, 1.0), ({}, 0.01)])
def test_a_total_below_the_floor_counts_as_the_floor_so_that_the_gradient_is_bounded(
    options, least
):
    density = torch.full((1, 1, 1, 2), 1e-8, requires_grad=True)
    loss = background_loss(density, torch.tensor([[[[1.0, 0.0]]]]), **options)
    loss.backward()
    assert loss.item() == pytest.approx(1e-8 / least)
    assert density.grad.flatten().tolist() == pytest.approx([0.0, 1.0 / least])


def test_the_background_aware_loss_is_the_sum_of_both():
    x, y = _pair()
    attention = (y > 1.0).double()
    torch.testing.assert_close(
        background_aware_structural_loss(x, y, attention),
        structural_loss(x, y) + background_loss(x, attention),
    )


def test_attention_weighs_most_at_first_and_never_nothing():
    weights = [shifting_weight(progress / 20, 1.0, 0.1, 0.5) for progress in range(21)]
    assert weights[:3] == pytest.approx([1.0, 0.91, 0.82])
    assert weights[10:] == pytest.approx([0.1] * 11)
    assert shifting_weight(0.0, 1.0, 0.1, 0.0) == pytest.approx(0.1)


@pytest.mark.parametrize("squared", [True, False])
def test_the_loss_passes_its_options_on(squared):
    x, y = 0.01 * _pair()[0], _pair()[1]
    attention = (y > 1.0).double()
    total = background_aware_structural_loss(
        x, y, attention, person=3.0, floor=2.0, squared=squared
    )
    parts = (
        structural_loss(x, y, squared=squared),
        background_loss(x, attention, person=3.0, floor=2.0),
    )
    torch.testing.assert_close(total, sum(parts))
