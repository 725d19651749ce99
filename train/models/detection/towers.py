"""Two towers on a feature pyramid: RetinaNet's form, which FoveaBox and FCOS share."""

from __future__ import annotations

from torch import Tensor

from edgecount.train.models.base import Level, Maps
from edgecount.train.models.detection.base import Detector
from edgecount.train.models.detection.parts import (
    Norm,
    Pyramid,
    PyramidBackbone,
    dense,
    input_of,
    start_rare,
    tower,
)
from edgecount.train.models.fpn import Coarse


class TowerDetector(Detector):
    """A tower for scores and one for boxes, shared by all levels of a feature pyramid.

    Args:
        backbone: name of the backbone.
        width: multiplier of MobileNetV2's channels.
        channels: channels of pyramid and towers.
        depth: convolutions of each tower.
        norm: norms of the towers.
        levels: strides of the levels.
        coarse: what stride 64 is made of, see :class:`edgecount.train.models.fpn.FeaturePyramid`.
        anchors: boxes that each cell predicts.
    """

    pretrained = "pyramid.backbone"

    def __init__(
        self,
        backbone: PyramidBackbone,
        width: float,
        channels: int,
        depth: int,
        norm: Norm,
        levels: tuple[int, ...],
        coarse: Coarse,
        anchors: int = 1,
    ) -> None:
        super().__init__(levels, anchors)
        self.input = input_of(backbone, levels)
        self.pyramid = Pyramid(backbone, width, channels, levels, coarse)
        self.score_tower = tower(channels, depth, norm)
        self.box_tower = tower(channels, depth, norm)
        self.score = dense(channels, anchors)
        self.box = dense(channels, 4 * anchors)
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
