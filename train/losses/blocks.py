"""Block-count losses: how many people in each block, as a Poisson rate."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def block_count_loss(
    density: Tensor,
    counts: Tensor,
    *,
    levels: tuple[int, ...] = (1, 2, 4),
    total_weight: float = 0.1,
) -> Tensor:
    """Poisson negative log-likelihood of block counts, plus an L1 of the total.

    With rate ``r`` and count ``n`` the Poisson term is ``r - n log r``, shifted by its minimum
    ``n - n log n`` so that a perfect rate costs nothing. It is unbiased where an L1 on fine
    blocks is not: most blocks hold nobody, and the median of such a block is 0, so that L1
    undercounts. Each level is summed over the image and divided by the number of coarsest blocks,
    which weighs every level alike; a block of 8 px says where, one of 32 px how many. The total's
    error is divided by ``sqrt(n + 16)``, its order under Poisson noise, so that dense scenes do
    not drown sparse ones.

    Args:
        density: (B, 1, h, w) people per cell, > 0; h and w multiples of the largest level.
        counts: (B, 1, h, w) heads in each cell.
        levels: block sizes in cells.
        total_weight: weight of the total's L1.

    Returns:
        A scalar, mean over the batch.
    """
    density = density.float()
    coarsest = density[0].numel() / max(levels) ** 2
    loss = density.new_zeros(())
    for level in levels:
        rate = _block_sums(density, level).clamp_min(1e-6)
        count = _block_sums(counts, level)
        likelihood = rate - torch.xlogy(count, rate) - count + torch.xlogy(count, count)
        loss = loss + likelihood.sum((1, 2, 3)).mean() / coarsest
    total = counts.sum((1, 2, 3))
    error = (density.sum((1, 2, 3)) - total).abs() / torch.sqrt(total + 16.0)
    return loss + total_weight * error.mean()


def _block_sums(cells: Tensor, size: int) -> Tensor:
    return cells if size == 1 else F.avg_pool2d(cells, size) * (size * size)
