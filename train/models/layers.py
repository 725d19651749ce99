"""Convolution blocks that quantise well and run on every engine."""

from __future__ import annotations

from torch import nn

from edgecount.train.models.depthwise import DepthwiseConv2d


def conv_bn(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch norm, ReLU6: (B, in, H, W) to (B, out, ceil(H/s), ceil(W/s))."""
    convolution = (
        DepthwiseConv2d(in_channels, kernel, stride)
        if groups == in_channels == out_channels
        else nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
    )
    # Not in place: in bfloat16 on a CPU that takes three times as long. It costs the memory of one
    # more map a layer in training.
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU6())


def separable(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """Return a depthwise and a pointwise convolution (MobileNet, Howard et al. 2017), same size."""
    return nn.Sequential(
        conv_bn(in_channels, in_channels, kernel, groups=in_channels),
        conv_bn(in_channels, out_channels, 1),
    )


def conv_relu(
    in_channels: int, out_channels: int, kernel: int = 3, dilation: int = 1
) -> list[nn.Module]:
    """Return a convolution at the same size and ReLU, with the density papers' initialisation."""
    padding = dilation * (kernel // 2)
    layer = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation)
    gaussian_start(layer)
    return [layer, nn.ReLU(inplace=True)]


def gaussian_start(module: nn.Module) -> None:
    """Draw weights from a Gaussian of 0.01; no bias: new layers of CSRNet, HSRNet and CFANet."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
