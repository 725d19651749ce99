"""The heatmap part of an objective: which focal loss, with offsets and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop
from edgecount.train.losses.cells import masked_l1
from edgecount.train.models.base import Maps
from edgecount.train.objectives.base import Arrays, Tensors, heads_of
from edgecount.train.objectives.focal import HeatmapFocal, HeatmapLoss
from edgecount.train.targets.batched import batch_heatmaps
from edgecount.train.targets.heatmap import EPSILON, ETA, Overlap, heatmap_targets

__all__ = ["HeatmapFocal", "HeatmapLoss", "HeatmapPart"]


@dataclass(frozen=True)
class HeatmapPart:
    """Targets and losses of heatmap, offset and size.

    For the losses with a mask or a box the Gaussian ends at the box, so that the mask is where the
    heatmap is above 0.

    Attributes:
        stride: px per cell of the heatmap.
        focal: focal loss of the heatmap.
        offset_weight: weight of the offset's L1.
        size_weight: weight of the size's L1, in network px.
        rule: spread of the Gaussians, see :func:`edgecount.train.targets.heatmap_targets`.
        eta: small heads' factor of the rule ``box``.
        sigma_epsilon: divisor of the rule ``box``.
        overlap: ``max`` or ``sum`` of Gaussians that overlap.

    Raises:
        ConfigError: a value is out of its range.
    """

    stride: int
    focal: HeatmapFocal
    offset_weight: float
    size_weight: float
    rule: Literal["box", "size"] = "box"
    eta: float = ETA
    sigma_epsilon: float = EPSILON
    overlap: Overlap = "max"

    def __post_init__(self) -> None:
        for name in ("offset_weight", "size_weight", "eta"):
            value = getattr(self, name)
            if value < 0:
                raise ConfigError(f"objective.{name}: expected 0 or more, got {value}")
        if self.sigma_epsilon <= 0:
            raise ConfigError(
                f"objective.sigma_epsilon: expected a number above 0, got {self.sigma_epsilon}"
            )

    def targets(self, crop: Crop) -> Arrays:
        """Return ``heatmap``, ``mask``, ``heads`` (1, h, w) and ``offset``, ``size`` (2, h, w)."""
        height, width = crop.image.shape[:2]
        drawn = heatmap_targets(
            crop.points,
            crop.boxes,
            height,
            width,
            stride=self.stride,
            rule=self.rule,
            clip_to_boxes=self.focal.needs_mask,
            eta=self.eta,
            epsilon=self.sigma_epsilon,
            overlap=self.overlap,
        )
        return {name: v if v.ndim == 3 else v[None] for name, v in vars(drawn).items()}

    def batch_targets(self, crops: Sequence[Crop], device: torch.device) -> Tensors | None:
        """Return the targets of a batch, drawn on its device; None where only `targets` does it.

        That is for the losses that take a mask, which the others never read.
        """
        if self.focal.needs_mask or self.rule != "size" or self.overlap != "max":
            return None
        return batch_heatmaps(heads_of(crops, self.stride), self.stride, device)

    def losses(self, maps: Maps, targets: Tensors) -> Tensors:
        """Return ``heatmap``, and ``offset`` and ``size`` where the network gives them."""
        assert maps.heatmap_logits is not None
        terms = {"heatmap": self.focal(maps.heatmap_logits, targets)}
        if maps.offset is not None:
            error = masked_l1(maps.offset, targets["offset"], targets["heads"])
            terms["offset"] = self.offset_weight * error
        if maps.size is not None:
            error = masked_l1(maps.size, targets["size"], targets["heads"])
            terms["size"] = self.size_weight * error
        return terms
