"""Cross entropies of attention maps."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32


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
