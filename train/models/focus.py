"""HSRNet's Scale Focus Module: which channels, then which places."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FocusOrder = Literal["channel-spatial", "spatial-channel", "parallel-average", "parallel-conv"]


class ChannelFocus(nn.Module):
    """Channel weights from the global context (HSRNet Eq. 1 to 3).

    ``S = sigmoid(W2 relu(W1 mean(F)))`` and ``F * S``; W1 and W2 as 1x1 convolutions without bias,
    which quantise like the rest.

    Args:
        channels: channels of the features.
        reduction: r, channels over hidden units; at least one unit is kept.
    """

    def __init__(self, channels: int, reduction: int = 64) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.increase = nn.Conv2d(hidden, channels, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.sigmoid = nn.Sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        pooled = self.pool(features)
        weights: Tensor = self.sigmoid(self.increase(self.relu(self.reduce(pooled))))
        return features * weights


class SpatialFocus(nn.Module):
    """One weight a place, from the mean over channels (HSRNet Eq. 4 and 5): a 7x7 convolution.

    The mean is a 1x1 convolution of fixed weights, which runs where reductions do not (DLA).

    Args:
        channels: channels of the features.
    """

    average: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        average = torch.full((1, channels, 1, 1), 1.0 / channels)
        self.register_buffer("average", average, persistent=False)
        self.convolution = nn.Conv2d(1, 1, 7, padding=3)
        self.sigmoid = nn.Sigmoid()

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        mean = F.conv2d(features, self.average)
        weights: Tensor = self.sigmoid(self.convolution(mean))
        return features * weights


class ScaleFocus(nn.Module):
    """Channel and spatial focus, in the orders of HSRNet's Table 6.

    Args:
        channels: channels of the features.
        reduction: reduction of the channel focus.
        order: one after the other, or side by side with their average or a 1x1 convolution of
            both; one alone has no order.
        channel: with channel focus.
        spatial: with spatial focus.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 64,
        order: FocusOrder = "channel-spatial",
        channel: bool = True,
        spatial: bool = True,
    ) -> None:
        super().__init__()
        self.channel: nn.Module = ChannelFocus(channels, reduction) if channel else nn.Identity()
        self.spatial: nn.Module = SpatialFocus(channels) if spatial else nn.Identity()
        self.order = order if channel and spatial else "channel-spatial"
        if self.order == "parallel-conv":
            self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor
        if self.order == "channel-spatial":
            out = self.spatial(self.channel(features))
        elif self.order == "spatial-channel":
            out = self.channel(self.spatial(features))
        elif self.order == "parallel-average":
            out = (self.channel(features) + self.spatial(features)) / 2.0
        else:
            out = self.merge(torch.cat([self.channel(features), self.spatial(features)], dim=1))
        return out
