"""Mask Focal Loss: the whole box of a head is positive, as far as the heatmap says so."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32, per_head

BetaWeighs = Literal["added", "both"]


def mask_focal_loss(
    logits: Tensor,
    target: Tensor,
    mask: Tensor,
    heads: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 0.25,
    gamma: float = 4.0,
) -> Tensor:
    """Return L_m (Zhong et al., "Mask Focal Loss", Eq. 6).

    With ``d = |p - p_hat|``: ``-p^beta d^gamma log(1 - d)`` inside the mask, and outside, where
    the heatmap is taken as 0, ``-p_hat^gamma log(1 - p_hat)``. Defaults are the best of Table III.

    For a binary heatmap whose mask is its ones it is L_f, whatever beta. For a mask of the heads'
    cells alone (heatmap 1) it is L_h only with L_h's beta 0, or with a heatmap that is 0 off those
    cells: Eq. 6 has no ``(1 - p)^beta`` that lets neighbours off, though the paper's text says so.

    Args:
        logits: (B, 1, h, w).
        target: (B, 1, h, w) heatmap in [0, 1].
        mask: (B, 1, h, w), 1 inside the boxes, else 0.
        heads: (B,) what the sum of each image is divided by, at least 1.
        alpha: factor of the whole loss.
        beta: exponent that makes the rim of a head count less than its centre.
        gamma: exponent that makes cells that are nearly right count less.

    Returns:
        A scalar.
    """
    return alpha * per_head(mask_focal_cells(logits, target, mask, beta=beta, gamma=gamma), heads)


def poly_mask_focal_loss(
    logits: Tensor,
    target: Tensor,
    mask: Tensor,
    heads: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 0.5,
    gamma: float = 4.0,
    epsilon: float = 1.0,
    beta_weighs: BetaWeighs = "added",
) -> Tensor:
    """Return Poly-1 L_m (Zhong et al., Eq. 7): one more power of the error.

    As the equation is printed, beta weighs the added power alone, unlike in Eq. 6: the rim of a
    head keeps its whole logarithmic part. Eq. 5 weighs both parts with its own factor, so
    ``beta_weighs="both"`` is the likelier intent. Defaults are the best of Table V.

    Args:
        logits: as in :func:`mask_focal_loss`, and so are `target`, `mask`, `heads`, `alpha` and
            `gamma`.
        target: heatmap.
        mask: 1 inside the boxes.
        heads: what the sum of each image is divided by.
        alpha: factor of the whole loss.
        beta: exponent that makes the rim of a head count less than its centre.
        gamma: exponent that makes cells that are nearly right count less.
        epsilon: factor of the added power (epsilon_1 of Eq. 4; Eq. 7 has 1).
        beta_weighs: terms with ``p^beta``: the ``added`` power (Eq. 7), or ``both``.
    """
    cells = poly_mask_focal_cells(
        logits, target, mask, beta=beta, gamma=gamma, epsilon=epsilon, beta_weighs=beta_weighs
    )
    return alpha * per_head(cells, heads)


def mask_focal_cells(
    logits: Tensor, target: Tensor, mask: Tensor, *, beta: float = 0.25, gamma: float = 4.0
) -> Tensor:
    """Return the terms of the sum of Eq. 6, one a cell, without ``alpha / N``.

    The arguments are those of :func:`mask_focal_loss`, but of any one shape.
    """
    error, log_rest, weight = _terms(logits, target, mask, beta)
    return -weight * error.pow(gamma) * log_rest


def poly_mask_focal_cells(
    logits: Tensor,
    target: Tensor,
    mask: Tensor,
    *,
    beta: float = 0.5,
    gamma: float = 4.0,
    epsilon: float = 1.0,
    beta_weighs: BetaWeighs = "added",
) -> Tensor:
    """Return the terms of the sum of Eq. 7, one a cell, without ``alpha / N``.

    The arguments are those of :func:`poly_mask_focal_loss`, but of any one shape.
    """
    error, log_rest, weight = _terms(logits, target, mask, beta)
    logarithm = -error.pow(gamma) * log_rest
    added = epsilon * error.pow(gamma + 1.0)
    return weight * (logarithm + added) if beta_weighs == "both" else logarithm + weight * added


def _terms(
    logits: Tensor, target: Tensor, mask: Tensor, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``d``, ``log(1 - d)`` and the cells' weights ``p^beta`` (1 outside the mask).

    ``1 - d`` is ``(1 - p) + p_hat`` below the target and ``p + (1 - p_hat)`` above: sums of two
    numbers that are not negative, whose logarithm ``logaddexp`` takes without forming them.
    """
    x = at_least_float32(logits)
    inside = mask > 0
    p = torch.where(inside, target.to(x), torch.zeros_like(x))
    # p_hat - p; from x = 17 on sigmoid(x) would round to 1, and its gradient to 0
    difference = torch.where(x > 0, (1.0 - p) - torch.sigmoid(-x), torch.sigmoid(x) - p)
    below = difference < 0
    log_rest = torch.where(
        below,
        torch.logaddexp(torch.log1p(-p), F.logsigmoid(x)),
        torch.logaddexp(torch.log(p), F.logsigmoid(-x)),
    )
    # a power below 1 has an infinite gradient at 0
    error = difference.abs().clamp_min(torch.finfo(x.dtype).tiny)
    weight = torch.where(inside, p.pow(beta), torch.ones_like(p))
    return error, log_rest, weight
