"""L1 loss of sub-cell offsets."""

from __future__ import annotations

from torch import Tensor


def offset_loss(offset: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error at the heads' cells only (CenterNet Eq. 2).

    Args:
        offset: (B, 2, h, w) dx, dy in cells.
        target: (B, 2, h, w).
        mask: (B, 1, h, w), 1 at cells with a head.
    """
    error = (offset.float() - target).abs() * mask
    return error.sum() / (2.0 * mask.sum()).clamp_min(1.0)
