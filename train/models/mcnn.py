"""MCNN (Zhang et al., CVPR 2016): three columns of different kernels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.manifest import InputSpec, OutputSpec
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.layers import gaussian_start

# kernel of the first layer, of the others, and the channels of the four layers
_COLUMNS = (
    (9, 7, (16, 32, 16, 8)),
    (7, 5, (20, 40, 20, 10)),
    (5, 3, (24, 48, 24, 12)),
)


class MCNN(Network):
    """A density at stride 4 from the luminance. 0.13 M parameters.

    The output is linear while training, as printed, and cut at 0 when deployed: a ReLU would start
    with no gradient wherever the Gaussian start happens to be below 0, which can be everywhere.

    The columns see one channel of 0 to 255, as the paper's do; colours are mixed by fixed weights
    inside (ITU-R BT.601), so that the network takes the RGB image that all others take.

    Args:
        start: of the weights: Gaussians of 0.01, as the paper has it, or "he": He et al.'s for
            ReLUs (ICCV 2015, Eq. 10). From the first, pixels of 0 to 255 come out as densities far
            too high, and at rates above 1e-3 most ReLUs die before these are low.
    """

    input = InputSpec(mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0), multiple=4)
    outputs = (OutputSpec("density", "density", 4),)

    luminance: Tensor

    def __init__(self, start: Literal["gaussian", "he"] = "gaussian") -> None:
        super().__init__()
        weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
        self.register_buffer("luminance", weights, persistent=False)
        self.columns = nn.ModuleList(_column(*shape) for shape in _COLUMNS)
        self.fuse = nn.Conv2d(sum(channels[-1] for _, _, channels in _COLUMNS), 1, 1)
        gaussian_start(self)
        if start == "he":
            for column in self.columns:
                _he_start(column)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of an RGB batch (B, 3, H, W) of 0 to 255; H and W multiples of 4."""
        grey = F.conv2d(image, self.luminance)
        features = torch.cat([column(grey) for column in self.columns], dim=1)
        return Maps(self.fuse(features))


def _column(first: int, kernel: int, channels: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    in_channels = 1
    for index, out_channels in enumerate(channels):
        size = first if index == 0 else kernel
        layers += [nn.Conv2d(in_channels, out_channels, size, padding=size // 2)]
        layers += [nn.ReLU(inplace=True)]
        if index < 2:
            layers.append(nn.MaxPool2d(2))
        in_channels = out_channels
    return nn.Sequential(*layers)


@torch.no_grad()
def _he_start(column: nn.Module) -> None:
    """Give a column's layers outputs of the size of their inputs, and its first one of 1."""
    layers = [layer for layer in column.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    layers[0].weight /= 128
