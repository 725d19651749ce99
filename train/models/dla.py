"""DLA-34 (Yu, Wang, Shelhamer and Darrell, CVPR 2018): deep layer aggregation."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Map (B, in, h, w), shortcut (B, out, h / stride, w / stride) to the shortcut's shape."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        result: Tensor = self.relu(out + residual)
        return result


class Root(nn.Module):
    """The node that aggregates: a 1x1 convolution of all that it is given."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, children: list[Tensor]) -> Tensor:
        """Join [(B, Ci, h, w)] into (B, C, h, w)."""
        out: Tensor = self.relu(self.bn(self.conv(torch.cat(children, dim=1))))
        return out


class Tree(nn.Module):
    """A binary tree of blocks, each level aggregated by a root (hierarchical aggregation).

    Args:
        levels: height of the tree.
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the first block.
        level_root: the input itself is aggregated too.
        given: channels that the caller hands down to the last root.
    """

    def __init__(
        self,
        levels: int,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        level_root: bool = False,
        given: int = 0,
    ) -> None:
        super().__init__()
        handed = given + (in_channels if level_root else 0)
        self.levels = levels
        self.level_root = level_root
        self.downsample = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.tree1: nn.Module
        self.tree2: nn.Module
        if levels == 1:
            self.tree1 = BasicBlock(in_channels, out_channels, stride)
            self.tree2 = BasicBlock(out_channels, out_channels)
            self.root = Root(2 * out_channels + handed, out_channels)
            # only a block has a use for the projected shortcut
            self.project = nn.Sequential()
            if in_channels != out_channels:
                self.project = nn.Sequential(
                    nn.Conv2d(in_channels, out_channels, 1, bias=False),
                    nn.BatchNorm2d(out_channels),
                )
        else:
            self.tree1 = Tree(levels - 1, in_channels, out_channels, stride)
            self.tree2 = Tree(levels - 1, out_channels, out_channels, given=handed + out_channels)

    def forward(self, x: Tensor, children: tuple[Tensor, ...] = ()) -> Tensor:
        """Map (B, in, h, w) and what the caller hands down to (B, out, h / stride, w / stride)."""
        bottom = self.downsample(x)
        if self.level_root:
            children = (*children, bottom)
        if self.levels == 1:
            first = self.tree1(x, self.project(bottom))
            second = self.tree2(first, first)
            out: Tensor = self.root([second, first, *children])
        else:
            first = self.tree1(x)
            out = self.tree2(first, (*children, first))
        return out


class DLA34(nn.Module):
    """The feature pyramid of DLA-34; parameter names are its authors'.

    Attributes:
        channels: channels of the levels, at strides 1, 2, 4, 8, 16, 32.
    """

    channels = (16, 32, 64, 128, 256, 512)

    def __init__(self) -> None:
        super().__init__()
        c = self.channels
        self.base_layer = _convolution(3, c[0], 7)
        self.level0 = _convolution(c[0], c[0], 3)
        self.level1 = _convolution(c[0], c[1], 3, 2)
        self.level2 = Tree(1, c[1], c[2], 2)
        self.level3 = Tree(2, c[2], c[3], 2, level_root=True)
        self.level4 = Tree(2, c[3], c[4], 2, level_root=True)
        self.level5 = Tree(1, c[4], c[5], 2, level_root=True)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W) to the six levels, at strides 1, 2, 4, 8, 16, 32."""
        x = self.base_layer(image)
        taps = []
        for level in range(6):
            x = self.get_submodule(f"level{level}")(x)
            taps.append(x)
        return taps


def _convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
