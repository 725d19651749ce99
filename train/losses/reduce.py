"""What all losses share: precision, and the mean over images."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """float16, bfloat16 and integers as float32; float32 and float64 stay as they are."""
    return x if x.dtype in {torch.float32, torch.float64} else x.float()


def per_head(cells: Tensor, heads: Tensor) -> Tensor:
    """Sum over each image's cells over its number of heads, at least one, then the mean.

    Args:
        cells: (B, C, h, w) losses.
        heads: (B,).

    Returns:
        A scalar.
    """
    return (cells.sum((1, 2, 3)) / heads.to(cells).clamp_min(1.0)).mean()
