"""Focal losses against hand-worked numbers."""

import math

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.focal import focal_loss, heatmap_focal_loss, poly_focal_loss  # noqa: E402

P = 1 / (1 + math.exp(-2.0))


def _maps(*rows):
    return tuple(torch.tensor(row).view(1, 1, 1, -1) for row in rows)


def test_focal_loss_by_hand():
    logits, target = _maps([0.0, 2.0], [1.0, 0.0])
    expected = -(0.5**2 * math.log(0.5) + P**2 * math.log(1 - P)) / 4
    assert focal_loss(logits, target, torch.tensor([4])).item() == pytest.approx(expected, rel=1e-5)


def test_alpha_and_gamma_are_the_factor_and_the_exponent():
    logits, target = _maps([2.0], [0.0])
    loss = focal_loss(logits, target, torch.tensor([1]), alpha=0.25, gamma=3.0)
    assert loss.item() == pytest.approx(-0.25 * P**3 * math.log(1 - P), rel=1e-5)


def test_heatmap_focal_loss_by_hand():
    logits, target = _maps([0.0, 2.0], [1.0, 0.5])
    expected = -(0.5**2) * math.log(0.5) - 0.5**4 * P**2 * math.log(1 - P)
    assert heatmap_focal_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_each_image_is_divided_by_its_own_heads():
    logits = torch.zeros(2, 1, 1, 2)
    target = torch.tensor([[[[1.0, 1.0]]], [[[0.0, 0.0]]]])
    cell = 0.25 * math.log(2.0)
    assert heatmap_focal_loss(logits, target).item() == pytest.approx((cell + 2 * cell) / 2)
    given = heatmap_focal_loss(logits, target, torch.tensor([4, 1]))
    assert given.item() == pytest.approx((cell / 2 + 2 * cell) / 2)


def test_an_image_without_heads_is_divided_by_one():
    empty = torch.zeros(2, 1, 3, 3)
    expected = 9 * 0.25 * math.log(2.0)
    assert heatmap_focal_loss(empty, empty).item() == pytest.approx(expected, rel=1e-5)
    assert focal_loss(empty, empty, torch.zeros(2)).item() == pytest.approx(expected, rel=1e-5)


def test_poly_focal_loss_adds_one_power_of_the_error():
    logits, target = _maps([2.0, -1.0, 2.0], [1.0, 0.0, 0.25])
    q = 1 / (1 + math.exp(1.0))
    expected = (
        -((1 - P) ** 2) * math.log(P)
        + (1 - P) ** 3
        - q**2 * math.log(1 - q)
        + q**3
        + 0.75**1.5 * (-(P**2) * math.log(1 - P) + P**3)
    )
    loss = poly_focal_loss(logits, target, torch.tensor([1]), beta=1.5)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_heatmap_loss_of_a_binary_map_is_the_focal_loss_whatever_beta():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 4, 4, generator=generator)
    target = (torch.rand(2, 1, 4, 4, generator=generator) > 0.7).float()
    heads = target.sum((1, 2, 3))
    expected = focal_loss(logits, target, heads)
    for beta in (0.0, 4.0):
        torch.testing.assert_close(heatmap_focal_loss(logits, target, heads, beta=beta), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_certain_error_costs_its_logit_and_pulls_with_full_strength(dtype):
    logits = torch.tensor([[[[-90.0, 90.0]]]], dtype=dtype, requires_grad=True)
    loss = focal_loss(logits, torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(180.0)
    assert logits.grad.flatten().tolist() == pytest.approx([-1.0, 1.0])


def test_integer_and_boolean_targets_are_taken():
    logits = torch.tensor([[[[0.3, -0.2]]]])
    target = torch.tensor([[[[1.0, 0.0]]]])
    expected = focal_loss(logits, target, torch.tensor([1.0]))
    assert focal_loss(logits, target.bool(), torch.tensor([1])) == expected
    assert heatmap_focal_loss(logits, target.bool()) == expected
    assert heatmap_focal_loss(logits, target.long()) == expected
