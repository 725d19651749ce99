"""Focal losses of a detector's scores: element by element, of any shape, by their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from edgecount.train.losses.focal import focal_cells
from edgecount.train.losses.mask_focal import (
    BetaWeighs,
    mask_focal_cells,
    poly_mask_focal_cells,
)

ClassificationLoss = Literal["L_f", "L_h", "L_m", "poly-L_f", "poly-L_h", "poly-L_m"]


def classification_loss(
    name: ClassificationLoss,
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.25,
    balanced: bool = False,
    beta: float | None = None,
    gamma: float = 2.0,
    epsilon: float = 1.0,
    beta_weighs: BetaWeighs = "added",
) -> Tensor:
    """Return the loss of each score: what is summed in Zhong et al., "Mask Focal Loss".

    ``L_f`` is Eq. 2, ``L_h`` Eq. 3, ``L_m`` Eq. 6 and ``poly-L_m`` Eq. 7; Eq. 5 is ``poly-L_f`` on
    binary targets, and ``poly-L_h`` with its ``(1 - p)^beta`` on soft ones. The mask is where the
    target is above 0. Alpha and gamma are those of section IV-D. On binary targets L_m is L_f and
    poly-L_m is poly-L_f, whatever beta. The sum's division, by positives as a rule, is left to the
    caller.

    Args:
        name: which of the losses.
        logits: any shape.
        target: of that shape, in [0, 1]; 1 at positives, 0 in the background, and between them
            where an element is in part an object (a rim of a Gaussian, an overlap).
        alpha: factor of the loss.
        balanced: let alpha weigh what is above 0 and ``1 - alpha`` the background, as RetinaNet
            (Lin et al. 2017) does; the paper prints one alpha before both.
        beta: exponent of the target's factor; None: the paper's best, 4 for L_h and poly-L_h, 0.25
            for L_m, 0.5 for poly-L_m. L_f and poly-L_f have none.
        gamma: exponent that makes easy elements count less.
        epsilon: factor of the power that the poly-1 losses add.
        beta_weighs: terms of poly-L_m with ``target^beta``: the ``added`` power, as printed, or
            ``both``.

    Returns:
        The shape of the logits; float32, or float64 for such logits.
    """
    options: dict[str, Any] = {"gamma": gamma}
    if beta is not None:
        options["beta"] = beta
    if name.startswith("poly"):
        options["epsilon"] = epsilon
    if name == "poly-L_m":
        options["beta_weighs"] = beta_weighs
    losses = CLASSIFICATION_LOSSES[name](logits, target, **options)
    if not balanced:
        return alpha * losses
    return torch.where(target > 0, alpha * losses, (1.0 - alpha) * losses)


def _focal(
    logits: Tensor, target: Tensor, *, gamma: float, beta: float = 0.0, epsilon: float = 0.0
) -> Tensor:
    """Return L_f or poly-L_f, which know positives and background alone."""
    del beta
    return focal_cells(logits, target.eq(1), gamma=gamma, epsilon=epsilon)


def _heatmap_focal(
    logits: Tensor, target: Tensor, *, gamma: float, beta: float = 4.0, epsilon: float = 0.0
) -> Tensor:
    return focal_cells(logits, target, beta=beta, gamma=gamma, epsilon=epsilon)


def _mask_focal(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    return mask_focal_cells(logits, target, target > 0, **options)


def _poly_mask_focal(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    return poly_mask_focal_cells(logits, target, target > 0, **options)


CLASSIFICATION_LOSSES: dict[ClassificationLoss, Callable[..., Tensor]] = {
    "L_f": _focal,
    "L_h": _heatmap_focal,
    "L_m": _mask_focal,
    "poly-L_f": _focal,
    "poly-L_h": _heatmap_focal,
    "poly-L_m": _poly_mask_focal,
}
