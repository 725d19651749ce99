"""FCOS (Tian, Shen, Chen and He 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecount.train.models.base import Level, Maps
from edgecount.train.models.detection.base import LARGEST_EXPONENT
from edgecount.train.models.detection.parts import Norm, PyramidBackbone, dense
from edgecount.train.models.detection.towers import TowerDetector


class FCOS(TowerDetector):
    """A box and its centerness at every cell; two towers that all levels share.

    A cell regresses ``exp(s_i x)``, with a learned ``s_i`` of each level: distances to the box's
    sides, here in cells, so that every level starts at boxes of its own size (the paper's are in
    px). The score is the probability times the centerness, which is predicted beside the
    probability, as in the paper; its authors later moved it to the box tower.

    Args:
        backbone: ``resnet50``, or one that trains on a CPU.
        width: multiplier of MobileNetV2's channels.
        channels: channels of pyramid and towers.
        depth: convolutions of each tower.
        norm: norms of the towers; the authors' have groups.
        levels: strides of the levels; P3 to P7 in the paper. Heads are small: ``[4, 8, 16]``.
    """

    def __init__(
        self,
        *,
        backbone: PyramidBackbone = "resnet50",
        width: float = 1.0,
        channels: int = 256,
        depth: int = 4,
        norm: Norm = "group",
        levels: tuple[int, ...] = (8, 16, 32, 64, 128),
    ) -> None:
        super().__init__(backbone, width, channels, depth, norm, levels, "pyramid")
        self.centerness = dense(channels, 1)
        self.scales = nn.Parameter(torch.ones(len(levels)))

    def forward(self, image: Tensor) -> Maps:
        """Return the levels of a normalised batch (B, 3, H, W); their boxes are ``s_i x``."""
        levels = []
        for number, features in enumerate(self.pyramid(image)):
            scored = self.score_tower(features)
            boxes = self.box(self.box_tower(features)).float() * self.scales[number]
            centerness = self.centerness(scored).float()
            levels.append(Level(self.score(scored).float(), boxes, centerness))
        return Maps(levels=tuple(levels))

    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances; see the base class."""
        del level  # the scale is in the boxes already
        return torch.exp(boxes.clamp(max=LARGEST_EXPONENT))
