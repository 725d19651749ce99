"""The focal loss of a heatmap: its name, its hyper-parameters, and what it is divided by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.losses.classification import ClassificationLoss
from edgecount.train.losses.focal import focal_loss, heatmap_focal_loss, poly_focal_loss
from edgecount.train.losses.mask_focal import (
    BetaWeighs,
    mask_focal_loss,
    poly_mask_focal_loss,
)
from edgecount.train.objectives.base import Tensors

HeatmapLoss = ClassificationLoss

# The hyper-parameters of each loss beside alpha and gamma, which all have.
_TAKES: dict[HeatmapLoss, tuple[str, ...]] = {
    "L_f": (),
    "L_h": ("beta",),
    "L_m": ("beta",),
    "poly-L_f": ("epsilon",),
    "poly-L_h": ("beta", "epsilon"),
    "poly-L_m": ("beta", "epsilon", "beta_weighs"),
}
_MASKED: dict[HeatmapLoss, Callable[..., Tensor]] = {
    "L_m": mask_focal_loss,
    "poly-L_m": poly_mask_focal_loss,
}
_BINARY: dict[HeatmapLoss, Callable[..., Tensor]] = {
    "L_f": focal_loss,
    "poly-L_f": poly_focal_loss,
}


@dataclass(frozen=True)
class HeatmapFocal:
    """A focal loss of a heatmap, with hyper-parameters of a config.

    The names are the Mask Focal Loss paper's: L_f (Eq. 2), L_h (Eq. 3), L_m (Eq. 6), poly-L_m
    (Eq. 7), and for Eq. 5 poly-L_f on the binary map of the boxes and poly-L_h on the Gaussian
    heatmap, with its ``(1 - p)^beta``. L_f and poly-L_f divide by the boxes' cells, as RetinaNet
    divides by its positive anchors: by heads, a close head of a thousand cells would outweigh a
    crowd of small ones. The others divide by the heads.

    Attributes:
        name: which loss.
        alpha: factor of the loss.
        beta: exponent of the heatmap's factor; None: the paper's best, 4 for L_h and poly-L_h, 0.25
            for L_m, 0.5 for poly-L_m.
        gamma: exponent that makes easy cells count less; None: the paper's best, 4 for L_m and
            poly-L_m, else 2.
        epsilon: factor of the power that the poly-1 losses add; None: 1, as the paper has it.
        beta_weighs: terms of poly-L_m with ``p^beta``: the ``added`` power, as printed (None, too),
            or ``both``.

    Raises:
        ConfigError: a value is below 0, or the loss has no such hyper-parameter.
    """

    name: HeatmapLoss
    alpha: float = 1.0
    beta: float | None = None
    gamma: float | None = None
    epsilon: float | None = None
    beta_weighs: BetaWeighs | None = None

    def __post_init__(self) -> None:
        for option in ("alpha", "beta", "gamma", "epsilon"):
            value = getattr(self, option)
            if value is not None and value < 0:
                raise ConfigError(f"objective.{option}: expected 0 or more, got {value}")
        if self.alpha == 0:
            raise ConfigError(
                "objective.alpha: expected a number above 0, got 0: the heatmap would not be "
                "trained"
            )
        takes = ("alpha", "gamma", *_TAKES[self.name])
        for option in ("beta", "epsilon", "beta_weighs"):
            if getattr(self, option) is not None and option not in takes:
                raise ConfigError(
                    f"objective.{option}: {self.name} has none; it takes {', '.join(takes)}: take "
                    "it away, or choose another heatmap_loss"
                )

    @property
    def needs_mask(self) -> bool:
        """Return True if the Gaussians end at the boxes: where the loss has a mask or a box."""
        return self.name not in ("L_h", "poly-L_h")

    def __call__(self, logits: Tensor, targets: Tensors) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: (B, 1, h, w).
            targets: ``heatmap``, ``heads``, and ``mask`` where the loss needs one, (B, 1, h, w).
        """
        heatmap, heads = targets["heatmap"], targets["heads"].sum((1, 2, 3))
        given = dataclasses.asdict(self)
        options = {key: given[key] for key in given if key != "name" and given[key] is not None}
        if self.name in _MASKED:
            return _MASKED[self.name](logits, heatmap, targets["mask"], heads, **options)
        if self.name in _BINARY:
            mask = targets["mask"]
            # A binary map has as many positives a head as its box has cells.
            positives = torch.maximum(mask.sum((1, 2, 3)), heads)
            return _BINARY[self.name](logits, mask, positives, **options)
        if self.name == "poly-L_h":
            return poly_focal_loss(logits, heatmap, heads, **{"beta": 4.0, **options})
        return heatmap_focal_loss(logits, heatmap, heads, **options)
