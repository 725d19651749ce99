"""Convolution blocks that quantise well and run on every engine."""

from __future__ import annotations

from torch import nn


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution, batch norm, ReLU6: (B, in, H, W) -> (B, out, ceil(H/stride), ceil(W/stride))."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


def separable(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
    """Depthwise then pointwise convolution (MobileNet, Howard et al. 2017), same size."""
    return nn.Sequential(
        conv_bn(in_channels, in_channels, kernel, groups=in_channels),
        conv_bn(in_channels, out_channels, 1),
    )
