"""Losses of boxes against areas counted by hand."""

import math

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.losses.box_regression import (  # noqa: E402
    ciou_loss,
    giou_loss,
    iou_loss,
    smooth_l1_loss,
)

# 4 x 4 and 2 x 6, which share 2 x 3: union 16 + 12 - 6 = 22, hull 4 x 7
BOX, OTHER = (0.0, 0.0, 4.0, 4.0), (1.0, 1.0, 3.0, 7.0)
APART = (8.0, 0.0, 12.0, 4.0)  # hull 12 x 4


def _boxes(*rows, dtype=torch.float64):
    return torch.tensor(rows, dtype=dtype)


def test_iou_by_hand():
    boxes, others = _boxes(BOX, BOX, BOX), _boxes(BOX, OTHER, APART)
    expected = [0.0, math.log(22 / 6), -math.log(1e-7)]
    assert iou_loss(boxes, others).tolist() == pytest.approx(expected)
    assert iou_loss(boxes, others, form="linear").tolist() == pytest.approx([0, 16 / 22, 1])


def test_giou_by_hand():
    found = giou_loss(_boxes(BOX, BOX, BOX), _boxes(BOX, OTHER, APART))
    expected = [0.0, 1 - 6 / 22 + (28 - 22) / 28, 1 + (48 - 32) / 48]
    assert found.tolist() == pytest.approx(expected)


def test_ciou_by_hand():
    found = ciou_loss(_boxes(BOX, BOX, BOX), _boxes(BOX, OTHER, APART))
    # centres (2, 2) and (2, 4): 4 over 4^2 + 7^2; shapes of 1 and 1 / 3
    shape = 4 / math.pi**2 * (math.atan(1.0) - math.atan(2 / 6)) ** 2
    far = 1 - 6 / 22
    expected = far + 4 / 65 + shape / (far + shape) * shape
    assert found.tolist() == pytest.approx([0.0, expected, 1 + 64 / 160])


def test_smooth_l1_is_a_parabola_and_then_a_line():
    values = _boxes((0.0, 0.05, -0.5, 2.0))
    zeros = torch.zeros_like(values)
    beta = 1 / 9
    expected = 0.05**2 / (2 * beta) + (0.5 - beta / 2) + (2.0 - beta / 2)
    assert smooth_l1_loss(values, zeros).tolist() == pytest.approx([expected])
    assert smooth_l1_loss(values, zeros, beta=0.0).tolist() == pytest.approx([2.55])


@pytest.mark.parametrize("loss", [iou_loss, giou_loss, ciou_loss])
def test_gradients_are_those_of_finite_differences_where_boxes_meet(loss):
    boxes = _boxes(BOX, (0.5, 0.3, 2.0, 9.0)).requires_grad_()
    others = _boxes(OTHER, OTHER)
    if loss is not ciou_loss:  # whose weight of the shape is a constant by intent
        assert torch.autograd.gradcheck(lambda x: loss(x, others), (boxes,))
    loss(boxes, others).sum().backward()
    assert boxes.grad.abs().min() > 0


@pytest.mark.parametrize("loss", [giou_loss, ciou_loss])
def test_boxes_apart_are_drawn_to_each_other(loss):
    box = _boxes(BOX).requires_grad_()
    loss(box, _boxes(APART)).sum().backward()
    assert box.grad[0, 2] < 0  # a step down the gradient moves the right side to the right


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("loss", [iou_loss, giou_loss, ciou_loss, smooth_l1_loss])
def test_boxes_without_area_give_finite_values(loss, dtype):
    point, reversed_ = (1.0, 1.0, 1.0, 1.0), (3.0, 3.0, 1.0, 1.0)
    boxes = _boxes(point, reversed_, point, BOX, dtype=dtype).requires_grad_()
    losses = loss(boxes, _boxes(point, BOX, APART, point, dtype=torch.float32))
    losses.sum().backward()
    assert losses.dtype == torch.float32
    assert losses.shape == (4,)
    assert torch.isfinite(losses).all()
    assert torch.isfinite(boxes.grad).all()


def test_leading_axes_are_kept():
    boxes = torch.rand(2, 3, 5, 4)
    assert all(loss(boxes, boxes).shape == (2, 3, 5) for loss in (iou_loss, giou_loss, ciou_loss))
