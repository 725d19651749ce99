"""RetinaNet (Lin, Goyal, Girshick, He and Dollar 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.models.detection.base import LARGEST_EXPONENT, interleave
from edgecount.train.models.detection.parts import Norm, PyramidBackbone
from edgecount.train.models.detection.towers import TowerDetector


class RetinaNet(TowerDetector):
    """Anchors on a feature pyramid; a class tower and a box tower that all levels share.

    An anchor of scale ``s`` and ratio ``r`` has the area ``(anchor_size s stride)^2`` and ``r``
    times the width as its height. The paper's values are the defaults: P3 to P7, sides of 32 to
    512 px, three scales, three ratios. Heads are small and nearly square: ``levels: [4, 8, 16]``,
    ``anchor_size: 3``, ``ratios: [1.0]`` suits them.

    Args:
        backbone: ``resnet50``, or one that trains on a CPU.
        width: multiplier of MobileNetV2's channels.
        channels: channels of pyramid and towers.
        depth: convolutions of each tower.
        norm: norms of the towers; the paper has none.
        levels: strides of the levels.
        anchor_size: side of the smallest square anchor, in strides.
        scales: factors of the anchors' sides.
        ratios: heights of the anchors over their widths.
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
        anchor_size: float = 4.0,
        scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        ratios: tuple[float, ...] = (0.5, 1.0, 2.0),
    ) -> None:
        if not scales or not ratios or min(anchor_size, *scales, *ratios) <= 0:
            raise ConfigError(
                "model: expected scales, ratios and anchor_size above 0, at least one each, got "
                f"{list(scales)}, {list(ratios)}, {anchor_size}"
            )
        anchors = len(scales) * len(ratios)
        super().__init__(backbone, width, channels, depth, norm, levels, "backbone", anchors)
        # in strides, the same at every level
        self._sides = tuple(
            (anchor_size * scale / ratio**0.5, anchor_size * scale * ratio**0.5)
            for scale in scales
            for ratio in ratios
        )

    def anchor_sizes(self, level: int) -> tuple[tuple[float, float], ...]:
        """Return width and height in px of each of a level's anchors."""
        stride = self.strides[level]
        return tuple((stride * width, stride * height) for width, height in self._sides)

    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances; see the base class.

        The centre is moved by ``(dx, dy)`` anchor sides, sides are ``exp(dw, dh)`` anchor's.
        """
        del level  # anchors are the same in cells everywhere
        width, height = (
            boxes.new_tensor([side[axis] for side in self._sides])[:, None, None] for axis in (0, 1)
        )
        x, y = boxes[:, 0::4] * width, boxes[:, 1::4] * height
        across = 0.5 * width * torch.exp(boxes[:, 2::4].clamp(max=LARGEST_EXPONENT))
        down = 0.5 * height * torch.exp(boxes[:, 3::4].clamp(max=LARGEST_EXPONENT))
        return interleave((across - x, down - y, across + x, down + y))
