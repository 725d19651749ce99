"""The edge models' objective: block counts, and head points from the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop
from edgecount.train.losses.blocks import BlockCounts, block_count_loss, zero_inflated_loss
from edgecount.train.losses.mask_focal import BetaWeighs
from edgecount.train.losses.scale_consistency import ScaleConsistency
from edgecount.train.models.base import Maps, Network
from edgecount.train.objectives.base import Arrays, Objective, Tensors, heads_of
from edgecount.train.objectives.heatmap import HeatmapFocal, HeatmapLoss, HeatmapPart
from edgecount.train.targets.batched import batch_counts
from edgecount.train.targets.points import bin_points


class EdgeObjective(Objective):
    """Counts of blocks as the density's targets, so that no kernel width has to be chosen.

    Args:
        network: gives a density, and perhaps a heatmap with its offset.
        counts: ``poisson``, ``negative_binomial`` or ``l1`` block counts, or ``zip``
            (zero-inflated Poisson; the network's option ``zero_inflated`` must be on).
        dispersion: of ``negative_binomial`` counts, above 0: the square of the share by which
            counts of dense blocks scatter.
        total_weight: weight of the L1 of the crop's total.
        heatmap_loss: focal loss of the heatmap, see :class:`HeatmapFocal`, and for the four options
            after it.
        beta: exponent of the heatmap's factor; null: the paper's best of the loss.
        gamma: exponent that makes easy cells count less; null: the paper's best of the loss.
        epsilon: factor of the power that the poly-1 losses add; null: 1.
        beta_weighs: terms of poly-L_m with ``p^beta``: ``added`` (as printed; null, too) or
            ``both``.
        heatmap_weight: weight of that loss, above 0; the paper's alpha.
        offset_weight: weight of the offset's L1.
        scale_consistency: weight of HSRNet's Scale Consistency (Eq. 9) on the network's scale
            maps (option ``recalibration``); 0 leaves it out.
    """

    def __init__(
        self,
        network: Network,
        *,
        counts: BlockCounts | Literal["zip"] = "poisson",
        dispersion: float = 0.1,
        total_weight: float = 0.1,
        heatmap_loss: HeatmapLoss = "L_h",
        beta: float | None = None,
        gamma: float | None = None,
        epsilon: float | None = None,
        beta_weighs: BetaWeighs | None = None,
        heatmap_weight: float = 0.5,
        offset_weight: float = 0.3,
        scale_consistency: float = 0.0,
    ) -> None:
        super().__init__(network)
        if "density" not in self.strides or not network.positive:
            raise ConfigError(
                "objective: edge needs a network with a density above 0: an edge model"
            )
        if "heatmap" in self.strides and not heatmap_weight > 0:
            raise ConfigError(
                "objective.heatmap_weight: expected a number above 0, or the network's option "
                "heatmap set to false: a heatmap that is not trained would still give points"
            )
        if not dispersion > 0:
            raise ConfigError(f"objective.dispersion: expected a number above 0, got {dispersion}")
        self.counts = counts
        self.dispersion = dispersion
        self.total_weight = total_weight
        self.heatmap_weight = heatmap_weight
        self.heatmap = None
        if "heatmap" in self.strides:
            focal = HeatmapFocal(heatmap_loss, 1.0, beta, gamma, epsilon, beta_weighs)
            stride = self.strides["heatmap"]
            self.heatmap = HeatmapPart(stride, focal, offset_weight, 0.1, rule="size")
        self.scale_weight = scale_consistency
        self.scales = ScaleConsistency(levels=4) if scale_consistency else None

    def targets(self, crop: Crop) -> Arrays:
        """Return ``counts`` (1, h, w) and the targets of :class:`HeatmapPart`."""
        height, width = crop.image.shape[:2]
        targets = {"counts": bin_points(crop.points, self.strides["density"], height, width)[None]}
        return targets | (self.heatmap.targets(crop) if self.heatmap else {})

    def batch_targets(self, crops: Sequence[Crop], device: torch.device) -> Tensors:
        """Return the targets of a batch; see the base class."""
        drawn = self.heatmap.batch_targets(crops, device) if self.heatmap else {}
        if drawn is None:
            return super().batch_targets(crops, device)
        return {"counts": batch_counts(heads_of(crops, self.strides["density"]), device), **drawn}

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``blocks``, ``heatmap``, ``offset``, ``scales``; see the base class."""
        del progress
        counts = targets["counts"] * self.units["density"]
        terms = {"blocks": self._blocks(maps, counts)}
        if self.heatmap:
            points = self.heatmap.losses(maps, targets)
            points["heatmap"] = self.heatmap_weight * points["heatmap"]
            terms |= points
        if self.scales is not None:
            predictions = _auxiliary(maps, "scales", "recalibration")
            terms["scales"] = self.scale_weight * self.scales(predictions, counts)
        return terms

    def _blocks(self, maps: Maps, counts: Tensor) -> Tensor:
        if self.counts == "zip":
            rate = _auxiliary(maps, "rate", "zero_inflated")[0]
            zeros = _auxiliary(maps, "zero_logits", "zero_inflated")[0]
            return zero_inflated_loss(rate, zeros, counts, total_weight=self.total_weight)
        assert maps.density is not None
        return block_count_loss(
            maps.density,
            counts,
            kind=self.counts,
            dispersion=self.dispersion,
            total_weight=self.total_weight,
        )


def _auxiliary(maps: Maps, name: str, option: str) -> tuple[Tensor, ...]:
    if name not in maps.auxiliary:
        raise ConfigError(f"objective: expected a network with the option {option}: set it to true")
    return maps.auxiliary[name]
