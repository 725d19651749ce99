"""FoveaBox (Kong, Sun, Liu, Jiang, Li and Shi 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.models.base import Level, Maps
from edgecount.train.models.detection.base import LARGEST_EXPONENT, Detector
from edgecount.train.models.detection.parts import (
    Norm,
    Pyramid,
    PyramidBackbone,
    dense,
    input_of,
    start_rare,
    tower,
)


class FoveaBox(Detector):
    """A box at every cell near a head's centre; two towers that all levels share.

    A cell regresses the logarithms of its distances to the box's sides over the base size of its
    level, ``r_l`` (Eq. 3; there ``z = sqrt(S_l)``).

    Args:
        backbone: ``resnet50``, or one that trains on a CPU.
        width: multiplier of MobileNetV2's channels.
        channels: channels of pyramid and towers.
        depth: convolutions of each tower.
        norm: norms of the towers; the paper has none.
        levels: strides of the levels; P3 to P7 in the paper. Heads are small: ``[4, 8, 16]``.
        base_size: the ``r_l`` in strides: 4 are the paper's 32 to 512 px. With finer levels,
            smaller heads have levels of their own.
    """

    pretrained = "pyramid.backbone"

    def __init__(
        self,
        *,
        backbone: PyramidBackbone = "resnet50",
        width: float = 1.0,
        channels: int = 256,
        depth: int = 4,
        norm: Norm = "none",
        levels: tuple[int, ...] = (8, 16, 32, 64, 128),
        base_size: float = 4.0,
    ) -> None:
        super().__init__(levels)
        if not base_size > 0:
            raise ConfigError(f"model.base_size: expected a number above 0, got {base_size}")
        self.base_size = base_size
        self.input = input_of(backbone, levels)
        self.pyramid = Pyramid(backbone, width, channels, levels, "backbone")
        self.score_tower = tower(channels, depth, norm)
        self.box_tower = tower(channels, depth, norm)
        self.score = dense(channels, 1)
        self.box = dense(channels, 4)
        start_rare(self.score)

    def forward(self, image: Tensor) -> Maps:
        """Return the levels of a normalised batch (B, 3, H, W)."""
        return Maps(
            levels=tuple(
                Level(
                    self.score(self.score_tower(features)).float(),
                    self.box(self.box_tower(features)).float(),
                )
                for features in self.pyramid(image)
            )
        )

    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances; see the base class."""
        del level  # base sizes are the same in cells everywhere
        return self.base_size * torch.exp(boxes.clamp(max=LARGEST_EXPONENT))
