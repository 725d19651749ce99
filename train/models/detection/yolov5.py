"""A network as YOLOv5 (Jocher et al. 2020) is, for heads: one class."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.train.models.base import Level, Maps
from edgecount.train.models.detection.base import Detector, interleave
from edgecount.train.models.detection.csp_darknet import CSPDarknet, PANet

# Depth and width multiples of the sizes.
SIZES = {
    "n": (0.33, 0.25),
    "s": (0.33, 0.5),
    "m": (0.67, 0.75),
    "l": (1.0, 1.0),
    "x": (1.33, 1.25),
}

# Width and height in px of the anchors that were fitted to COCO, by stride; of stride 4 those of
# stride 8 halved.
_COCO: dict[int, tuple[tuple[float, float], ...]] = {
    4: ((5, 6.5), (8, 15), (16.5, 11.5)),
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}

# Square anchors for heads, in strides: with sides up to 4 times as long or short as an anchor's a
# level takes heads of 0.4 to 16 strides.
_HEADS = (1.5, 2.5, 4.0)

_HEADS_AN_IMAGE, _USUAL_SIDE = 8.0, 640.0  # what its objectness starts from


class YOLOv5(Detector):
    """CSP-Darknet, PANet and three anchors a cell at strides 8, 16 and 32.

    Of the outputs of a cell and anchor, objectness is the score: with one class the original's
    class probability has no loss and says nothing. A centre is ``2 sigmoid(t) - 0.5`` cells from
    its cell's corner, a side ``(2 sigmoid(t))^2`` times the anchor's.

    Args:
        size: ``n``, ``s``, ``m``, ``l`` or ``x``: multiples of depth and width.
        levels: strides of the levels; the last one is 32.
        anchors: ``coco``, the original's; ``heads``, squares of 1.5, 2.5 and 4 strides.
    """

    input = InputSpec(mean=(0.0, 0.0, 0.0), scale=(1 / 255, 1 / 255, 1 / 255))

    def __init__(
        self,
        *,
        size: Literal["n", "s", "m", "l", "x"] = "x",
        levels: tuple[int, ...] = (8, 16, 32),
        anchors: Literal["coco", "heads"] = "coco",
    ) -> None:
        super().__init__(levels, 3)
        if levels[-1] != 32:
            raise ConfigError(f"model.levels: expected strides up to 32, got {list(levels)}")
        depth, width = SIZES[size]
        self.kind = anchors
        self.backbone = CSPDarknet(depth, width)
        channels = self.backbone.channels
        self.neck = PANet(channels, levels, depth)
        self.heads = nn.ModuleList(nn.Conv2d(channels[s], 5 * self.anchors, 1) for s in levels)
        for stride, head in zip(levels, self.heads, strict=True):
            # Eight heads in an image of 640 px: RetinaNet's prior, as YOLOv5 starts.
            rare = math.log(_HEADS_AN_IMAGE / (_USUAL_SIDE / stride) ** 2)
            with torch.no_grad():
                head.get_parameter("bias")[: self.anchors] += rare

    def anchor_sizes(self, level: int) -> tuple[tuple[float, float], ...]:
        """Return width and height in px of each of a level's anchors."""
        stride = self.strides[level]
        return _COCO[stride] if self.kind == "coco" else tuple((s * stride,) * 2 for s in _HEADS)

    def forward(self, image: Tensor) -> Maps:
        """Return the levels of a normalised batch (B, 3, H, W)."""
        levels = []
        for head, features in zip(self.heads, self.neck(self.backbone(image)), strict=True):
            out = head(features).float()
            levels.append(Level(out[:, : self.anchors], out[:, self.anchors :]))
        return Maps(levels=tuple(levels))

    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances; see the base class. Channels are x, y, width, height of an anchor."""
        stride = self.strides[level]
        sides = self.anchor_sizes(level)
        width, height = (
            boxes.new_tensor([side[axis] / stride for side in sides])[:, None, None]
            for axis in (0, 1)
        )
        # from the centre of the cell, where the original counts from its corner
        x = 2.0 * torch.sigmoid(boxes[:, 0::4]) - 1.0
        y = 2.0 * torch.sigmoid(boxes[:, 1::4]) - 1.0
        across = 0.5 * width * (2.0 * torch.sigmoid(boxes[:, 2::4])).square()
        down = 0.5 * height * (2.0 * torch.sigmoid(boxes[:, 3::4])).square()
        return interleave((across - x, down - y, across + x, down + y))
