"""Precision and reduction of all losses."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return float16, bfloat16 and integers as float32; float32 and float64 as they are."""
    return x if x.dtype in {torch.float32, torch.float64} else x.float()


def per_head(cells: Tensor, heads: Tensor) -> Tensor:
    """Divide the sum over an image's cells by its heads, at least one; return the images' mean.

    Args:
        cells: (B, C, h, w) losses.
        heads: (B,).

    Returns:
        A scalar.
    """
    return (cells.sum((1, 2, 3)) / heads.to(cells).clamp_min(1.0)).mean()
