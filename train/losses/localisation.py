"""Cross entropy of sparse localization maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32

MOST = 100.0


def weighted_bce(logits: Tensor, target: Tensor, *, weight: float | None = None) -> Tensor:
    """Return the binary cross entropy weighted for the rarity of positives (RAZ-Net), cells' mean.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w), 0 or 1.
        weight: weight of a positive cell; None: the image's negatives over its positives, at most
            :data:`MOST`, beyond which a handful of heads would drown the background.

    Returns:
        A scalar: in each image the weighted sum over the sum of weights, then the mean.
    """
    x = at_least_float32(logits)
    target = target.to(x)
    positives = target.sum((1, 2, 3), keepdim=True)
    if weight is None:
        negatives = target[0].numel() - positives
        rarity = (negatives / positives.clamp_min(1.0)).clamp(1.0, MOST)
    else:
        rarity = torch.full_like(positives, weight)
    weights = 1.0 + (rarity - 1.0) * target
    errors = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    return ((weights * errors).sum((1, 2, 3)) / weights.sum((1, 2, 3))).mean()
