"""The heatmap part of an objective: which focal loss, with offsets and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgecount.train.data.sample import Crop
from edgecount.train.losses.cells import masked_l1
from edgecount.train.losses.focal import focal_loss, heatmap_focal_loss, poly_focal_loss
from edgecount.train.losses.mask_focal import mask_focal_loss, poly_mask_focal_loss
from edgecount.train.models.base import Maps
from edgecount.train.objectives.base import Arrays, Tensors, heads_of
from edgecount.train.targets.batched import batch_heatmaps
from edgecount.train.targets.heatmap import heatmap_targets

HeatmapLoss = Literal["L_f", "L_h", "L_m", "poly-L_f", "poly-L_m"]


@dataclass(frozen=True)
class HeatmapPart:
    """Targets and losses of heatmap, offset and size.

    The names of the losses are the Mask Focal Loss paper's: L_f (Eq. 2), L_h (Eq. 3), poly-L_f
    (Eq. 5), L_m (Eq. 6), poly-L_m (Eq. 7). For L_m the Gaussian ends at the box, so that the mask
    is where the heatmap is above 0; L_f and poly-L_f take the box itself as the binary map, and
    divide by its cells, as RetinaNet divides by its positive anchors: by heads, a close head of a
    thousand cells would outweigh a crowd of small ones.

    Attributes:
        stride: px per cell of the heatmap.
        loss: focal loss of the heatmap.
        offset_weight: weight of the offset's L1.
        size_weight: weight of the size's L1, in network px.
        rule: spread of the Gaussians, see :func:`edgecount.train.targets.heatmap_targets`.
    """

    stride: int
    loss: HeatmapLoss
    offset_weight: float
    size_weight: float
    rule: Literal["box", "size"] = "box"

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
            clip_to_boxes=self.loss != "L_h",
        )
        return {name: v if v.ndim == 3 else v[None] for name, v in vars(drawn).items()}

    def batch_targets(self, crops: Sequence[Crop], device: torch.device) -> Tensors | None:
        """Return the targets of a batch, drawn on its device; None where only `targets` does it.

        That is for the losses that take a mask, which the others never read.
        """
        if self.loss != "L_h" or self.rule != "size":
            return None
        return batch_heatmaps(heads_of(crops, self.stride), self.stride, device)

    def losses(self, maps: Maps, targets: Tensors) -> Tensors:
        """Return ``heatmap``, and ``offset`` and ``size`` where the network gives them."""
        assert maps.heatmap_logits is not None
        terms = {"heatmap": self._focal(maps.heatmap_logits, targets)}
        if maps.offset is not None:
            error = masked_l1(maps.offset, targets["offset"], targets["heads"])
            terms["offset"] = self.offset_weight * error
        if maps.size is not None:
            error = masked_l1(maps.size, targets["size"], targets["heads"])
            terms["size"] = self.size_weight * error
        return terms

    def _focal(self, logits: Tensor, targets: Tensors) -> Tensor:
        heatmap = targets["heatmap"]
        heads = targets["heads"].sum((1, 2, 3))
        if self.loss == "L_h":
            return heatmap_focal_loss(logits, heatmap, heads)
        mask = targets["mask"]
        if self.loss == "L_m":
            return mask_focal_loss(logits, heatmap, mask, heads)
        if self.loss == "poly-L_m":
            return poly_mask_focal_loss(logits, heatmap, mask, heads)
        # A binary map has as many positives a head as its box has cells.
        positives = torch.maximum(mask.sum((1, 2, 3)), heads)
        function = focal_loss if self.loss == "L_f" else poly_focal_loss
        return function(logits, mask, positives)
