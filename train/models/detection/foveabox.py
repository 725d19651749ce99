"""FoveaBox (Kong, Sun, Liu, Jiang, Li and Shi 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.models.detection.base import LARGEST_EXPONENT
from edgecount.train.models.detection.parts import Norm, PyramidBackbone
from edgecount.train.models.detection.towers import TowerDetector


class FoveaBox(TowerDetector):
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
        super().__init__(backbone, width, channels, depth, norm, levels, "backbone")
        if not base_size > 0:
            raise ConfigError(f"model.base_size: expected a number above 0, got {base_size}")
        self.base_size = base_size

    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances; see the base class."""
        del level  # base sizes are the same in cells everywhere
        return self.base_size * torch.exp(boxes.clamp(max=LARGEST_EXPONENT))
