"""Mask Focal Loss: values, what it reduces to, and its logarithm."""

import math

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.focal import focal_loss, heatmap_focal_loss, poly_focal_loss  # noqa: E402
from edgecount.train.losses.mask_focal import mask_focal_loss, poly_mask_focal_loss  # noqa: E402

# logits, heatmap, mask: below the target, above it, the centre, outside
LOGITS, HEATMAP, MASK = (0.0, 2.0, -1.0, 0.5), (0.8, 0.3, 1.0, 0.0), (1.0, 1.0, 1.0, 0.0)


def _maps(*rows):
    return tuple(torch.tensor(row, dtype=torch.float64).view(1, 1, 1, -1) for row in rows)


def _cells():
    for logit, p, inside in zip(LOGITS, HEATMAP, MASK, strict=True):
        predicted = 1 / (1 + math.exp(-logit))
        yield p, inside, abs(p - predicted) if inside else predicted


def _random(seed=0, shape=(2, 1, 6, 6)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    heatmap = torch.rand(shape, generator=generator, dtype=torch.float64) * 0.95
    heads = torch.rand(shape, generator=generator) > 0.8
    heatmap[heads] = 1.0
    return logits, heatmap, heads.double(), heads.sum((1, 2, 3))


def test_by_hand():
    expected = sum(
        -(p**0.5 if inside else 1.0) * d**3 * math.log(1 - d) for p, inside, d in _cells()
    )
    loss = mask_focal_loss(
        *_maps(LOGITS, HEATMAP, MASK), torch.tensor([2]), alpha=0.7, beta=0.5, gamma=3.0
    )
    assert loss.item() == pytest.approx(0.7 * expected / 2, rel=1e-9)


def test_the_poly_form_by_hand_weighs_only_the_added_power():
    expected = sum(
        -(d**3) * math.log(1 - d) + (p**0.5 if inside else 1.0) * d**4 for p, inside, d in _cells()
    )
    loss = poly_mask_focal_loss(
        *_maps(LOGITS, HEATMAP, MASK), torch.tensor([2]), alpha=0.7, beta=0.5, gamma=3.0
    )
    assert loss.item() == pytest.approx(0.7 * expected / 2, rel=1e-9)


def test_the_heatmap_outside_the_mask_has_no_part():
    logits, heatmap, mask, heads = _random()
    expected = mask_focal_loss(logits, heatmap * mask, mask, heads)
    assert mask_focal_loss(logits, heatmap, mask, heads) == expected


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
def test_a_binary_heatmap_with_itself_as_mask_gives_the_focal_losses(beta):
    logits, _, binary, heads = _random()
    options = {"beta": beta, "gamma": 2.0}
    torch.testing.assert_close(
        mask_focal_loss(logits, binary, binary, heads, **options),
        focal_loss(logits, binary, heads, gamma=2.0),
    )
    torch.testing.assert_close(
        poly_mask_focal_loss(logits, binary, binary, heads, **options),
        poly_focal_loss(logits, binary, heads, gamma=2.0),
    )


def test_with_beta_0_a_binary_heatmap_gives_the_focal_loss_under_any_wider_mask():
    logits, _, binary, heads = _random()
    torch.testing.assert_close(
        mask_focal_loss(logits, binary, torch.ones_like(binary), heads, beta=0.0, gamma=2.0),
        focal_loss(logits, binary, heads, gamma=2.0),
    )


def test_a_mask_of_key_points_gives_the_heatmap_loss_where_its_neighbours_are_not_let_off():
    logits, heatmap, keys, heads = _random()
    loss = mask_focal_loss(logits, heatmap, keys, heads, gamma=2.0)
    torch.testing.assert_close(loss, heatmap_focal_loss(logits, heatmap, heads, beta=0.0))
    torch.testing.assert_close(loss, heatmap_focal_loss(logits, heatmap * keys, heads, beta=4.0))
    assert loss > 1.2 * heatmap_focal_loss(logits, heatmap, heads, beta=4.0)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("far", [-200.0, -50.0, -20.0, 20.0, 50.0, 200.0])
def test_at_the_centre_the_logarithm_is_that_of_the_focal_loss_far_out(far, gamma):
    logits = torch.full((1, 1, 1, 1), far, requires_grad=True)
    one, heads = torch.ones(1, 1, 1, 1), torch.tensor([1])
    (gradient,) = torch.autograd.grad(mask_focal_loss(logits, one, one, heads, gamma=gamma), logits)
    (expected,) = torch.autograd.grad(focal_loss(logits, one, heads, gamma=gamma), logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.3, 0.999999, 1.0])
@pytest.mark.parametrize("logit", [-60.0, -16.0, -1.0, 0.0, 1.0, 16.0, 60.0])
def test_float32_agrees_with_float64_near_the_ends_of_the_heatmap(p, logit):
    results = []
    for dtype in (torch.float32, torch.float64):
        x = torch.full((1, 1, 1, 1), logit, dtype=dtype, requires_grad=True)
        target = torch.full((1, 1, 1, 1), p, dtype=torch.float32)
        loss = mask_focal_loss(x, target, torch.ones_like(target), torch.tensor([1]), beta=0.0)
        (gradient,) = torch.autograd.grad(loss, x)
        results.append((loss.item(), gradient.item()))
    for low, exact in zip(*results, strict=True):
        assert low == pytest.approx(exact, rel=1e-4, abs=1e-9)


def test_a_prediction_that_is_exactly_right_costs_nothing_and_has_no_gradient():
    target = torch.linspace(0.01, 0.99, 99).view(1, 1, 9, 11)
    logits = torch.logit(target).requires_grad_()
    for gamma in (0.5, 1.5, 4.0):
        loss = mask_focal_loss(
            logits, target, torch.ones_like(target), torch.tensor([1]), gamma=gamma
        )
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)
        assert gradient.abs().max() < 1e-3


def test_an_empty_image_costs_the_focal_loss_of_its_background():
    logits, empty = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    loss = mask_focal_loss(logits, empty, empty, torch.tensor([0]))
    assert loss.item() == pytest.approx(9 * 0.5**4 * math.log(2.0), rel=1e-5)
