"""L1 at the heads' cells: offsets and sizes."""

from __future__ import annotations

from torch import Tensor

from edgecount.train.losses.reduce import at_least_float32


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
