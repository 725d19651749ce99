"""Squared errors, absolute errors and cross entropies of maps, cell by cell."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32

MOST = 100.0


Per = Literal["images", "pixels"]


def density_mse(density: Tensor, target: Tensor, *, per: Per = "images") -> Tensor:
    """Return half the squared Euclidean distance of two maps (HSRNet Eq. 8), mean over images.

    The equation sums over images X_1 to X_N, while the text calls N the number of pixels. Here N is
    the images, as in CSRNet: a mean over pixels as well is around 1e-6, which with Adam's epsilon
    of 1e-8 makes the smallest gradients count for less. With ``pixels`` it is what the text says.

    Args:
        density: (B, 1, h, w).
        target: (B, 1, h, w).
        per: what N is.

    Returns:
        A scalar, in squared people times half the squared unit. Per image it grows with the map's
        size; per pixel it is that over the map's cells.
    """
    squares = (at_least_float32(density) - target).square()
    whole = squares.sum((1, 2, 3)) if per == "images" else squares.mean((1, 2, 3))
    return whole.mean() / 2.0


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean absolute error at the heads' cells only (CenterNet Eq. 2 and 3).

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        mask: (B, 1, h, w), 1 at cells with a head.

    Returns:
        A scalar: the mean over each image's heads and channels (0 without heads), then over
        images.
    """
    error = (at_least_float32(prediction) - target).abs() * mask
    cells = (mask.sum((1, 2, 3)) * prediction.shape[1]).clamp_min(1.0)
    return (error.sum((1, 2, 3)) / cells).mean()


def attention_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross entropy of a coarse attention map (CFANet's L_CAM), cells' mean.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w), 1 in the crowd, 0 in the background.

    Returns:
        A scalar.
    """
    x = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(x, target.to(x))


def level_loss(logits: Tensor, levels: Tensor) -> Tensor:
    """Return the cross entropy of a fine attention map (CFANet's L_FAM), mean over cells.

    Args:
        logits: (B, K, h, w).
        levels: (B, h, w) classes 0 to K - 1, of any dtype.

    Returns:
        A scalar.
    """
    return F.cross_entropy(at_least_float32(logits), levels.long())


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
