"""RAZ-Net (Liu, Weng and Mu, CVPR 2019): counting and localization branches."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.csrnet import dilated_back_end
from edgecount.train.models.layers import gaussian_start
from edgecount.train.models.vgg import VGG16


class RAZNet(Network):
    """CSRNet's density at stride 8, and a localization map at the input's size.

    Both branches start from VGG-16's conv4_3 features, at stride 8; three transposed convolutions
    bring them back to the input's size. The deployed heatmap is averaged 3x3, which damps noise
    before peaks are sought. Both counts are blended on a grid of 4 x 4 cells, whose weights a run
    fits at its end. Zooming needs no other weights: see :mod:`edgecount.runtime.zoom`.

    A published re-implementation on NWPU-Crowd puts dilated convolutions before and between the
    transposed ones and gives two channels, background and head; the paper's text has neither, and
    one logit is what its binary cross entropy needs.

    Args:
        counting: with the counting branch.
        localization: with the localization branch.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=8)
    pretrained = "features"
    fusion_grid = 4

    def __init__(self, *, counting: bool = True, localization: bool = True) -> None:
        super().__init__()
        if not (counting or localization):
            raise ConfigError("model: raznet needs counting, localization or both")
        self.features = VGG16(stages=4)
        self.counting = dilated_back_end() if counting else None
        self.localization = _localization_branch() if localization else None
        heatmap = OutputSpec("heatmap", "heatmap", 1)
        density = OutputSpec("density", "density", 8)
        self.outputs = (density,) * counting + (heatmap,) * localization

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 8."""
        features = self.features(image)[-1]
        return Maps(
            None if self.counting is None else self.counting(features),
            None if self.localization is None else self.localization(features),
        )

    def _deployed(self, maps: Maps, role: str) -> Tensor:
        if role == "heatmap":
            assert maps.heatmap_logits is not None
            return F.avg_pool2d(
                torch.sigmoid(maps.heatmap_logits), 3, 1, 1, count_include_pad=False
            )
        return super()._deployed(maps, role)


def _localization_branch() -> nn.Sequential:
    layers: list[nn.Module] = []
    in_channels = 512
    for channels in (256, 128, 64):
        layers += [nn.ConvTranspose2d(in_channels, channels, 4, 2, 1), nn.ReLU(inplace=True)]
        in_channels = channels
    branch = nn.Sequential(*layers, nn.Conv2d(in_channels, 1, 1))
    gaussian_start(branch)
    # heads are rare: start from a probability of 1%
    nn.init.constant_(branch[-1].get_parameter("bias"), -4.6)
    return branch
