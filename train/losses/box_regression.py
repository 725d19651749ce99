"""Losses of regressed boxes, one for each box; the last axis is left, top, right, bottom."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from edgecount.train.losses.reduce import at_least_float32

# The least IoU in a logarithm, and what keeps a quotient of two zeros at 0.
LEAST = 1e-7
THIN = 1e-3  # a side that is thinner than this share of the hull counts as so wide in CIoU's shape


def iou_loss(
    boxes: Tensor, target: Tensor, *, form: Literal["logarithm", "linear"] = "logarithm"
) -> Tensor:
    """Return ``-log IoU`` (UnitBox, Yu et al. 2016; FCOS) or ``1 - IoU`` of pairs of boxes.

    Boxes that do not meet have no gradient; a logarithm is taken of 1e-7 at least.

    Args:
        boxes: (..., 4) in any unit.
        target: (..., 4) in the same unit.
        form: ``logarithm`` or ``linear``.

    Returns:
        (...), 0 for equal boxes.
    """
    overlap, _ = _iou(at_least_float32(boxes), target)
    return -torch.log(overlap.clamp_min(LEAST)) if form == "logarithm" else 1.0 - overlap


def giou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """Return ``1 - GIoU`` (Rezatofighi et al. 2019): boxes apart are drawn to each other, too.

    Args:
        boxes: (..., 4) in any unit.
        target: (..., 4) in the same unit.

    Returns:
        (...) in [0, 2).
    """
    boxes = at_least_float32(boxes)
    overlap, union = _iou(boxes, target)
    hull = _hull(boxes, target.to(boxes)).prod(-1)
    return 1.0 - overlap + (hull - union) / hull.clamp_min(LEAST)


def ciou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """Return ``1 - CIoU`` (Zheng et al. 2020): IoU, distance of centres, and shape.

    ``1 - IoU + d^2 / c^2 + a v``: ``d`` is the distance of the centres, ``c`` the diagonal of the
    hull, ``v = 4 / pi^2 (atan(w / h) - atan(w' / h'))^2`` and ``a = v / (1 - IoU + v)``, which is
    taken as a constant, as its authors do.

    Args:
        boxes: (..., 4) in any unit.
        target: (..., 4) in the same unit.

    Returns:
        (...), 0 for equal boxes.
    """
    boxes = at_least_float32(boxes)
    target = target.to(boxes)
    overlap, _ = _iou(boxes, target)
    apart = boxes[..., :2] + boxes[..., 2:] - target[..., :2] - target[..., 2:]
    hull = _hull(boxes, target)
    distance = apart.square().sum(-1) / 4.0 / hull.square().sum(-1).clamp_min(LEAST)
    # the angle of a box without sides would have an infinite gradient
    least = hull.detach().amax(-1, keepdim=True) * THIN
    shape = 4.0 / math.pi**2 * (_angle(boxes, least) - _angle(target, least)).square()
    with torch.no_grad():
        weight = shape / (1.0 - overlap + shape).clamp_min(LEAST)
    return 1.0 - overlap + distance + weight * shape


def smooth_l1_loss(values: Tensor, target: Tensor, *, beta: float = 1.0 / 9.0) -> Tensor:
    """Return the sum over the last axis of the smooth L1 (Fast R-CNN, Girshick 2015).

    It is ``x^2 / (2 beta)`` for errors ``x`` below beta and ``x - beta / 2`` above.

    Args:
        values: (..., 4) regressed values, in a network's own coding.
        target: (..., 4).
        beta: where the parabola ends; 0: a plain L1; 1/9 is what Faster R-CNN's code has.

    Returns:
        (...).
    """
    x = at_least_float32(values)
    loss = torch.nn.functional.smooth_l1_loss(x, target.to(x), reduction="none", beta=beta)
    return loss.sum(-1)


def _iou(boxes: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and union of pairs; boxes whose sides are reversed have no area."""
    target = target.to(boxes)
    first = torch.maximum(boxes[..., :2], target[..., :2])
    last = torch.minimum(boxes[..., 2:], target[..., 2:])
    shared = (last - first).clamp_min(0.0).prod(-1)
    union = _sides(boxes).prod(-1) + _sides(target).prod(-1) - shared
    return shared / union.clamp_min(LEAST), union


def _sides(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0.0)


def _hull(boxes: Tensor, target: Tensor) -> Tensor:
    """Return width and height of the least box around both."""
    first = torch.minimum(boxes[..., :2], target[..., :2])
    last = torch.maximum(boxes[..., 2:], target[..., 2:])
    return (last - first).clamp_min(0.0)


def _angle(boxes: Tensor, least: Tensor) -> Tensor:
    """Return the angle whose tangent is width over height, of sides of `least` or more."""
    width, height = torch.maximum(_sides(boxes), least).clamp_min(LEAST).unbind(-1)
    return torch.atan2(width, height)
