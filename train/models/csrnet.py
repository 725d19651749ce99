"""CSRNet (Li, Zhang and Chen 2018): VGG-16 to conv4_3, then dilated convolutions."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.layers import conv_relu, gaussian_start
from edgecount.train.models.vgg import VGG16


def dilated_back_end(in_channels: int = 512, *, batch_norm: bool = False) -> nn.Sequential:
    """Return CSRNet's configuration B: 512, 512, 512, 256, 128, 64 at dilation 2, then one map.

    Args:
        in_channels: channels of the features.
        batch_norm: a batch norm after each of the six convolutions.
    """
    layers: list[nn.Module] = []
    for channels in (512, 512, 512, 256, 128, 64):
        convolution, relu = conv_relu(in_channels, channels, dilation=2)
        layers += (
            [convolution, nn.BatchNorm2d(channels), relu] if batch_norm else [convolution, relu]
        )
        in_channels = channels
    output = nn.Conv2d(in_channels, 1, 1)
    gaussian_start(output)
    return nn.Sequential(*layers, output)


class CSRNet(Network):
    """A density at stride 8, linear while training and cut at 0 when deployed. 16.3 M parameters.

    Args:
        batch_norm: VGG-16 with batch norm.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=8)
    pretrained = "features"
    outputs = (OutputSpec("density", "density", 8),)

    def __init__(self, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.features = VGG16(stages=4, batch_norm=batch_norm)
        self.counting = dilated_back_end()

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 8."""
        return Maps(self.counting(self.features(image)[-1]))
