"""Cross entropies and errors of single cells, by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.cells import attention_loss, level_loss, masked_l1, weighted_bce  # noqa: E402


def _softplus(x):
    return math.log1p(math.exp(x))


def test_attention_loss_is_the_mean_cross_entropy():
    logits = torch.tensor([[[[2.0, -1.0]]]])
    target = torch.tensor([[[[1.0, 1.0]]]])
    expected = (_softplus(-2.0) + _softplus(1.0)) / 2
    assert attention_loss(logits, target).item() == pytest.approx(expected, rel=1e-6)
    assert attention_loss(logits, target.bool()).item() == pytest.approx(expected, rel=1e-6)


def test_level_loss_takes_labels_of_any_type():
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 2, 0, 0] = 1.0
    labels = torch.tensor([[[2, 0]]])
    expected = (math.log(2 + math.e) - 1.0 + math.log(3.0)) / 2
    assert level_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    assert level_loss(logits, labels.float()).item() == pytest.approx(expected, rel=1e-6)


def test_weighted_bce_gives_heads_and_background_the_same_say():
    logits = torch.tensor([[[[2.0, -1.0, 0.0, 1.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])
    background = _softplus(-1.0) + _softplus(0.0) + _softplus(1.0)
    expected = (3 * _softplus(-2.0) + background) / 6
    assert weighted_bce(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_weighted_bce_with_a_weight_of_its_own():
    logits, target = torch.tensor([[[[2.0, -1.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    expected = (5 * _softplus(-2.0) + _softplus(-1.0)) / 6
    assert weighted_bce(logits, target, weight=5.0).item() == pytest.approx(expected, rel=1e-6)


def test_the_weight_of_a_lone_head_is_capped():
    logits, target = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    target[0, 0, 3, 4] = 1.0
    logits[0, 0, 3, 4] = -2.0
    expected = (100 * _softplus(2.0) + 1023 * math.log(2.0)) / 1123
    assert weighted_bce(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_weighted_bce_of_an_image_without_heads_is_plain_cross_entropy():
    logits = torch.tensor([[[[1.0, -1.0]]]])
    loss = weighted_bce(logits, torch.zeros(1, 1, 1, 2))
    assert loss.item() == pytest.approx((_softplus(1.0) + _softplus(-1.0)) / 2, rel=1e-6)


def test_masked_l1_looks_at_heads_only():
    offset, target = torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    mask = torch.zeros(1, 1, 2, 2)
    assert masked_l1(offset, target, mask).item() == 0.0
    mask[0, 0, 0, 0] = 1.0
    target[0, 1, 0, 0] = 0.5
    assert masked_l1(offset, target, mask).item() == pytest.approx(0.75)


def test_masked_l1_weighs_an_image_of_one_head_like_one_of_many():
    prediction = torch.zeros(2, 1, 2, 2)
    target = torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]], [[[1.0, 1.0], [1.0, 3.0]]]])
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    assert masked_l1(prediction, target, mask).item() == pytest.approx((4.0 + 1.5) / 2)
