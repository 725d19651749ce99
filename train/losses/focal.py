"""Focal losses on maps of heads, from logits.

L_f, L_h and poly-1 L_f are Eq. 2, 3 and 5 of Zhong et al., "Mask Focal Loss". Logarithms come from
``logsigmoid``, which neither overflows nor rounds to log 0. N is the number of heads of the image
itself, so that every image weighs alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32, per_head


def focal_loss(
    logits: Tensor, target: Tensor, heads: Tensor, *, alpha: float = 1.0, gamma: float = 2.0
) -> Tensor:
    """Return L_f (Eq. 2; RetinaNet, Lin et al. 2017) of a binary map.

    The paper puts one alpha before both cases, and so does this.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w), 1 where there is a head, else 0.
        heads: (B,) what the sum of each image is divided by, at least 1.
        alpha: factor of the whole loss.
        gamma: exponent that makes easy cells count less.

    Returns:
        A scalar.
    """
    cells, _ = _cross_entropy(logits, target.eq(1.0), gamma)
    return alpha * per_head(cells, heads)


def heatmap_focal_loss(
    logits: Tensor,
    target: Tensor,
    heads: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 4.0,
    gamma: float = 2.0,
) -> Tensor:
    """Return L_h, the penalty-reduced focal loss (Eq. 3; CornerNet; CenterNet Eq. 1).

    Cells where ``target == 1`` are heads: ``-(1 - p)^gamma log p``. The others:
    ``-(1 - target)^beta p^gamma log(1 - p)``, so that the neighbours of a head are let off.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w) in [0, 1], exactly 1 at the heads' cells.
        heads: (B,) what the sum of each image is divided by; None: its cells that are 1.
        alpha: factor of the whole loss.
        beta: exponent that makes the neighbours of a head count less.
        gamma: exponent that makes easy cells count less.

    Returns:
        A scalar.
    """
    positive = target.eq(1.0)
    cells, _ = _cross_entropy(logits, positive, gamma)
    weight = _neighbours(cells, target, beta)
    number = positive.sum((1, 2, 3)) if heads is None else heads
    return alpha * per_head(weight * cells, number)


def poly_focal_loss(
    logits: Tensor,
    target: Tensor,
    heads: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    gamma: float = 2.0,
) -> Tensor:
    """Return Poly-1 L_f (Eq. 5; PolyLoss, Leng et al. 2022, epsilon 1): one more error power.

    The arguments are those of :func:`heatmap_focal_loss`; beta is unused on a binary map.
    """
    cells, log_error = _cross_entropy(logits, target.eq(1.0), gamma)
    cells = cells + torch.exp((gamma + 1.0) * log_error)
    weight = _neighbours(cells, target, beta)
    return alpha * per_head(weight * cells, heads)


def _cross_entropy(logits: Tensor, positive: Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Return the focal cross entropy of each cell, and the logarithm of its error ``1 - p_t``.

    The power is taken of the logarithm: ``pow`` has an infinite gradient where the error rounds
    to 0 and gamma is below 1.
    """
    x = at_least_float32(logits)
    signed = torch.where(positive, x, -x)
    log_error = F.logsigmoid(-signed)
    return -F.logsigmoid(signed) * torch.exp(gamma * log_error), log_error


def _neighbours(cells: Tensor, target: Tensor, beta: float) -> Tensor:
    """Return ``(1 - p)^beta``, and 1 at the heads' own cells."""
    p = target.to(cells)
    return torch.where(p.eq(1.0), torch.ones_like(p), (1.0 - p).pow(beta))
