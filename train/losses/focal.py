"""Focal losses on head heatmaps, from logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def heatmap_focal_loss(
    logits: Tensor, target: Tensor, *, alpha: float = 2.0, beta: float = 4.0
) -> Tensor:
    """Penalty-reduced focal loss L_h (CornerNet; CenterNet Eq. 1; Mask Focal Loss Eq. 3).

    Cells where ``target == 1`` are heads: ``-(1 - p)^alpha log p``. The others:
    ``-(1 - target)^beta p^alpha log(1 - p)``, so that the neighbours of a head are let off.
    Logarithms come from ``logsigmoid``, which neither overflows nor rounds to log 0.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w) in [0, 1], exactly 1 at the heads' cells.
        alpha: how much easy cells are let off.
        beta: how much the neighbours of a head are let off.

    Returns:
        A scalar: the sum over cells divided by the number of heads (at least one an image, so
        that empty images count).
    """
    logits = logits.float()
    probability = logits.sigmoid()
    heads = target.eq(1.0)
    positive = -F.logsigmoid(logits) * (1.0 - probability).pow(alpha)
    negative = -F.logsigmoid(-logits) * probability.pow(alpha) * (1.0 - target).pow(beta)
    total = positive.where(heads, negative).sum()
    return total / heads.sum().clamp_min(len(logits))
