"""edgecount-s: density and head heatmap from one pass of a mobile network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.train.models.base import Maps
from edgecount.train.models.layers import conv_bn, separable
from edgecount.train.models.mobilenet_v2 import MobileNetV2


class TopDown(nn.Module):
    """One step of a feature pyramid (Lin et al. 2017): upsample x2, add the finer map, smooth.

    The 5x5 smoothing also blurs away the blocks that nearest-neighbour upsampling leaves; nearest
    is kept because every engine, DLA included, runs it at any size.
    """

    def __init__(self, fine_channels: int, channels: int) -> None:
        super().__init__()
        self.lateral = conv_bn(fine_channels, channels, 1)
        self.smooth = separable(channels, channels, 5)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, C, H / 2, W / 2), (B, F, H, W) -> (B, C, H, W)."""
        upsampled = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        out: Tensor = self.smooth(upsampled + self.lateral(fine))
        return out


class EdgeNet(nn.Module):
    """MobileNetV2 to stride 32, a top-down neck to stride 4, two heads. 1.5 M parameters.

    The density head sees stride 8 and predicts the expected number of heads in each 8x8 cell
    (``softplus``: positive, with a gradient everywhere, as the Poisson loss needs). The heatmap
    head sees stride 4, so that heads a few pixels apart keep cells of their own (CenterNet, Zhou
    et al. 2019: heatmap and sub-cell offset; no size head).
    """

    def __init__(self, channels: int = 80, fine_channels: int = 32) -> None:
        super().__init__()
        self.backbone = MobileNetV2()
        widths = self.backbone.channels
        self.context = nn.Sequential(
            conv_bn(widths[32], channels, 1), separable(channels, channels, 5)
        )
        self.down16 = TopDown(widths[16], channels)
        self.down8 = TopDown(widths[8], channels)
        self.density = nn.Sequential(conv_bn(channels, 64), nn.Conv2d(64, 1, 1))
        self.reduce = conv_bn(channels, fine_channels, 1)
        self.down4 = TopDown(widths[4], fine_channels)
        self.heads = nn.Sequential(conv_bn(fine_channels, fine_channels), separable(32, 64))
        self.heatmap = nn.Conv2d(64, 1, 1)
        self.offset = nn.Conv2d(64, 2, 1)
        # Start from the rates of a sparse scene: 0.02 people a cell, 2% of cells a head; a start
        # at 0.5 spends the first hundred steps on unlearning people.
        for head in (self.density[-1], self.heatmap):
            assert isinstance(head, nn.Conv2d)
            nn.init.constant_(head.get_parameter("bias"), -3.9)

    def forward(self, image: Tensor) -> Maps:
        """Maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 32."""
        taps = self.backbone(image)
        x = self.context(taps[32])
        x = self.down16(x, taps[16])
        x = self.down8(x, taps[8])
        density = F.softplus(self.density(x).float())
        fine = self.heads(self.down4(self.reduce(x), taps[4]))
        offset = torch.sigmoid(self.offset(fine).float())
        return Maps(density, self.heatmap(fine).float(), offset)
