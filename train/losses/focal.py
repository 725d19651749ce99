"""Focal losses on maps of heads, from logits.

L_f, L_h and poly-1 L_f are Eq. 2, 3 and 5 of Zhong et al., "Mask Focal Loss": one body,
:func:`focal_cells`. Logarithms come from ``logsigmoid``, which neither overflows nor rounds to
log 0. N is the number of heads of the image itself, so that every image weighs alike.
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
    return alpha * per_head(focal_cells(logits, target.eq(1.0), gamma=gamma), heads)


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
    number = target.eq(1.0).sum((1, 2, 3)) if heads is None else heads
    return alpha * per_head(focal_cells(logits, target, beta=beta, gamma=gamma), number)


def poly_focal_loss(
    logits: Tensor,
    target: Tensor,
    heads: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    gamma: float = 2.0,
    epsilon: float = 1.0,
) -> Tensor:
    """Return Poly-1 L_f (Eq. 5; PolyLoss, Leng et al. 2022): one more power of the error.

    The arguments are those of :func:`heatmap_focal_loss`, and `epsilon`, the factor of the added
    power (epsilon_1 of Eq. 4; Eq. 5 has 1). Beta is unused on a binary map.
    """
    cells = focal_cells(logits, target, beta=beta, gamma=gamma, epsilon=epsilon)
    return alpha * per_head(cells, heads)


def focal_cells(
    logits: Tensor,
    target: Tensor,
    *,
    beta: float = 0.0,
    gamma: float = 2.0,
    epsilon: float = 0.0,
) -> Tensor:
    """Return the terms of the sums of Eq. 2, 3 and 5, one a cell, without ``alpha / N``.

    With ``e`` the error of a cell, ``1 - p_hat`` where the target is 1 and ``p_hat`` elsewhere:
    ``-e^gamma log(1 - e) + epsilon e^(gamma + 1)``, times ``(1 - target)^beta`` where the target
    is not 1.

    Args:
        logits: any shape.
        target: of that shape, in [0, 1], exactly 1 at positives.
        beta: exponent that makes the neighbours of a head count less; 0: Eq. 2.
        gamma: exponent that makes easy cells count less.
        epsilon: factor of the added power; 0: Eq. 2 and 3.

    Returns:
        The shape of the logits; float32, or float64 for such logits.
    """
    x = at_least_float32(logits)
    p = target.to(x)
    positive = p.eq(1.0)
    signed = torch.where(positive, x, -x)
    # The power is taken of the logarithm: `pow` has an infinite gradient where the error rounds to
    # 0 and gamma is below 1.
    log_error = F.logsigmoid(-signed)
    cells = -F.logsigmoid(signed) * torch.exp(gamma * log_error)
    if epsilon:
        cells = cells + epsilon * torch.exp((gamma + 1.0) * log_error)
    return torch.where(positive, torch.ones_like(p), (1.0 - p).pow(beta)) * cells
