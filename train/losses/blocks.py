"""Block-count losses: how many people in each block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.losses.reduce import at_least_float32

LEVELS = (1, 2, 4)
BlockCounts = Literal["poisson", "negative_binomial", "l1"]
# Of rates before their logarithm. A softplus that has gone far down must still feel a head in its
# cell: a floor at 1e-6 would cut its gradient from logits of -14 on.
_LEAST = 1e-20


def block_count_loss(
    density: Tensor,
    counts: Tensor,
    *,
    levels: tuple[int, ...] = LEVELS,
    kind: BlockCounts = "poisson",
    dispersion: float = 0.1,
    total_weight: float = 0.1,
) -> Tensor:
    """Return the negative log-likelihood or L1 of block counts, plus an L1 of the total.

    With rate ``r`` and count ``n`` the Poisson term is ``r - n log r``, shifted by its minimum
    ``n - n log n`` so that a perfect rate costs nothing. It is unbiased where an L1 on fine
    blocks is not: most blocks hold nobody, and the median of such a block is 0, so that L1
    undercounts. Errors of a network grow like the count, not like its root, so that with the
    Poisson term dense crowds have most of the gradient. The negative binomial has the variance
    ``n + dispersion n^2`` instead, as counts do whose spread is a share of them (Lawless,
    "Negative binomial and mixed Poisson regression", 1987). Each level is summed over the image
    and divided by the number of coarsest blocks, which weighs every level alike; a block of 8 px
    says where, one of 32 px how many. The total's error is divided by ``sqrt(n + 16)``, its order
    under Poisson noise, or by ``sqrt(n + 16 + dispersion n^2)``, so that dense scenes do not drown
    sparse ones.

    Args:
        density: (B, 1, h, w) people per cell, > 0; h and w multiples of the largest level.
        counts: (B, 1, h, w) heads in each cell.
        levels: block sizes in cells.
        kind: the term of a block.
        dispersion: of the negative binomial, above 0.
        total_weight: weight of the total's L1.

    Returns:
        A scalar, mean over the batch.
    """
    density = at_least_float32(density)
    counts = counts.to(density)
    coarsest = density[0].numel() / max(levels) ** 2
    loss = density.new_zeros(())
    for level in levels:
        rate, count = _block_sums(density, level), _block_sums(counts, level)
        if kind == "negative_binomial":
            term = _negative_binomial(rate, count, dispersion)
        else:
            term = _poisson(rate, count) if kind == "poisson" else (rate - count).abs()
        loss = loss + term.sum((1, 2, 3)).mean() / coarsest
    spread = dispersion if kind == "negative_binomial" else 0.0
    return loss + total_weight * _total_error(density, counts, spread)


def zero_inflated_loss(
    rate: Tensor,
    zero_logits: Tensor,
    counts: Tensor,
    *,
    levels: tuple[int, ...] = LEVELS,
    total_weight: float = 0.1,
) -> Tensor:
    """Return the zero-inflated Poisson loss of the cells' counts, plus coarser blocks.

    ZIP, Ma, Sanchez and Guha 2025 (arXiv 2506.19955). A cell is empty with probability
    ``z = sigmoid(zero_logits)`` whatever its rate, else Poisson: ``P(0) = z + (1 - z) exp(-r)``,
    ``P(n) = (1 - z) exp(-r) r^n / n!``. Blocks of several cells and the total see the expectation
    ``(1 - z) r`` as in :func:`block_count_loss`: a sum of such cells is near a Poisson variable,
    and not zero-inflated as a whole.

    Args:
        rate: (B, 1, h, w), > 0.
        zero_logits: (B, 1, h, w).
        counts: (B, 1, h, w) heads in each cell.
        levels: block sizes in cells; the first is the cells' own likelihood.
        total_weight: weight of the total's L1.

    Returns:
        A scalar, mean over the batch; terms of the count alone (log n!) are left out.

    Raises:
        ConfigError: the first level is not 1.
    """
    if levels[0] != 1:
        raise ConfigError(f"levels: expected the first to be 1 (the cells), got {levels[0]}")
    rate, zeros = at_least_float32(rate).clamp_min(_LEAST), at_least_float32(zero_logits)
    counts = counts.to(rate)
    log_occupied = F.logsigmoid(-zeros)
    log_none = torch.logaddexp(F.logsigmoid(zeros), log_occupied - rate)
    log_some = log_occupied - rate + torch.xlogy(counts, rate)
    cells = -torch.where(counts == 0, log_none, log_some)
    coarsest = rate[0].numel() / max(levels) ** 2
    loss = cells.sum((1, 2, 3)).mean() / coarsest
    expected = torch.sigmoid(-zeros) * rate
    for level in levels[1:]:
        term = _poisson(_block_sums(expected, level), _block_sums(counts, level))
        loss = loss + term.sum((1, 2, 3)).mean() / coarsest
    return loss + total_weight * _total_error(expected, counts)


def _poisson(rate: Tensor, count: Tensor) -> Tensor:
    rate = rate.clamp_min(_LEAST)
    return rate - torch.xlogy(count, rate) - count + torch.xlogy(count, count)


def _negative_binomial(rate: Tensor, count: Tensor, dispersion: float) -> Tensor:
    """Return ``(n + 1/a) log((1 + a r) / (1 + a n)) - n log(r / n)``, 0 at the best rate ``n``."""
    rate = rate.clamp_min(_LEAST)
    tails = torch.log1p(dispersion * rate) - torch.log1p(dispersion * count)
    heads = torch.xlogy(count, rate) - torch.xlogy(count, count)
    return (count + 1.0 / dispersion) * tails - heads


def _total_error(density: Tensor, counts: Tensor, dispersion: float = 0.0) -> Tensor:
    total = counts.sum((1, 2, 3))
    variance = total + 16.0 + dispersion * total.square()
    error = (density.sum((1, 2, 3)) - total).abs() / torch.sqrt(variance)
    return error.mean()


def _block_sums(cells: Tensor, size: int) -> Tensor:
    return cells if size == 1 else F.avg_pool2d(cells, size) * (size * size)
