"""The focal loss of a detector's scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.losses.classification import classification_loss
from edgecount.train.losses.mask_focal import BetaWeighs

Classification = Literal["L_f", "poly-L_f", "L_m", "poly-L_m"]
Target = Literal["binary", "gaussian", "iou"]
_MASKED = ("L_m", "poly-L_m")


@dataclass(frozen=True)
class ScoreLoss:
    """A focal loss of scores, and what a positive place is to score.

    Attributes:
        name: which loss; the Mask Focal Loss paper's names.
        target: what positive places are to score: ``binary``, 1; ``gaussian``, the heatmap's value
            in the head's box; ``iou``, the overlap of the predicted box, which is YOLOv5's.
        alpha: factor of the loss.
        balanced: alpha for positives and ``1 - alpha`` for the background, as RetinaNet.
        beta: exponent of the target's factor; None: 0.25 for L_m, 0.5 for poly-L_m.
        gamma: exponent that makes easy places count less.
        epsilon: factor of the power that the poly-1 losses add.
        beta_weighs: terms of poly-L_m with ``p^beta``: the ``added`` power, or ``both``.

    Raises:
        ConfigError: a value is below 0, or a loss of a binary map is to have another one.
    """

    name: Classification
    target: Target
    alpha: float
    balanced: bool
    beta: float | None
    gamma: float
    epsilon: float
    beta_weighs: BetaWeighs

    def __post_init__(self) -> None:
        for option in ("alpha", "beta", "gamma", "epsilon"):
            value = getattr(self, option)
            if value is not None and value < 0:
                raise ConfigError(f"objective.{option}: expected 0 or more, got {value}")
        if self.balanced and self.alpha > 1:
            raise ConfigError(
                f"objective.alpha: expected 0 to 1 where it is balanced, got {self.alpha}"
            )
        if self.target != "binary" and self.name not in _MASKED:
            raise ConfigError(
                f"objective.target: {self.name} is a loss of binary maps, got {self.target}: "
                f"choose {' or '.join(_MASKED)} as classification, or target: binary"
            )

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each of (P,) logits; targets are in [0, 1], 0 in the background."""
        return classification_loss(
            self.name,
            logits,
            target,
            alpha=self.alpha,
            balanced=self.balanced,
            beta=self.beta,
            gamma=self.gamma,
            epsilon=self.epsilon,
            beta_weighs=self.beta_weighs,
        )
