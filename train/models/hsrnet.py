"""HSRNet (Zou et al., ECAI 2020): hierarchical scale recalibration."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, MapPicture, Maps, Network
from edgecount.train.models.focus import FocusOrder, ScaleFocus
from edgecount.train.models.layers import gaussian_start
from edgecount.train.models.recalibration import ScaleRecalibration, Start
from edgecount.train.models.vgg import VGG16


class HSRNet(Network):
    """VGG-16 without its last pooling, focus on four stages, recalibration into five scales.

    The features of stages Conv2 to Conv5, at strides 2, 4, 8, 16, each pass a Scale Focus Module
    (Eq. 1 to 5); the Scale Recalibration Module (Eq. 6) makes five scale maps and their fusion at
    the input's size. The fusion is linear, as printed, and cut at 0 when deployed.
    ``auxiliary["scales"]``: the maps D_1 to D_5, (B, 1, H, W) each.

    Args:
        recalibration: False is the baseline of Table 5, if without focus too: a 1x1 convolution
            after the last stage, brought to the input's size by bilinear interpolation (divided by
            the area that a cell covers, so that the sum stays a count).
        channel_focus: with the channel part of the focus.
        spatial_focus: with the spatial part.
        focus_order: order of the two, Table 6.
        reduction: reduction of the channel focus, Figure 4.
        width: multiplier of VGG-16's channels: thin networks for machines without a GPU, which
            start from random weights.
        pretrained_layers: convolutions that start from ImageNet weights (``backbone_weights``); 10
            in the paper, whose other layers start from a Gaussian of 0.01.
        start: of the 1x1 convolutions that turn a set of score maps into a prediction and the
            predictions into the density: their ``mean``, or a ``gaussian`` of 0.01 as in the paper.
            The transposed convolutions always start as bilinear interpolation.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=16)
    pretrained = "features"
    densities = ("scales",)
    outputs = (OutputSpec("density", "density", 1),)

    def __init__(
        self,
        *,
        recalibration: bool = True,
        channel_focus: bool = True,
        spatial_focus: bool = True,
        focus_order: FocusOrder = "channel-spatial",
        reduction: int = 64,
        width: float = 1.0,
        pretrained_layers: int = 13,
        start: Start = "mean",
    ) -> None:
        super().__init__()
        self.features = VGG16(stages=5, width=width, pretrained_layers=pretrained_layers)
        channels = self.features.channels[1 if recalibration else -1 :]
        self.focus = nn.ModuleList(
            ScaleFocus(
                features,
                reduction=reduction,
                order=focus_order,
                channel=channel_focus,
                spatial=spatial_focus,
            )
            for features in channels
        )
        gaussian_start(self.focus)
        self.recalibrate = (
            ScaleRecalibration(channels, (2, 4, 8, 16), start=start) if recalibration else None
        )
        if not recalibration:
            self.output = nn.Conv2d(channels[-1], 1, 1)
            gaussian_start(self.output)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 16."""
        stages = self.features(image)[-len(self.focus) :]
        focused = [focus(stage) for focus, stage in zip(self.focus, stages, strict=True)]
        if self.recalibrate is None:
            coarse = self.output(focused[-1])
            size = image.shape[-2:]
            enlarged = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
            return Maps(enlarged / 256.0)
        density, scales = self.recalibrate(focused)
        return Maps(density, auxiliary={"scales": scales})

    def pictures(self, maps: Maps) -> list[MapPicture]:
        """Return the density and the maps of the five scales, as the paper's Figure 5 has them."""
        if maps.density is None or "scales" not in maps.auxiliary:
            return []
        scales = enumerate(maps.auxiliary["scales"])
        return [
            MapPicture("density", maps.density, 1),
            *(MapPicture(f"scale {i + 1}", values, 2**i) for i, values in scales),
        ]
