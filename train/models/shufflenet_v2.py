"""ShuffleNetV2 (Ma et al. 2018), without its last 1x1 convolution and classifier."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.models.shufflenet_authors import from_authors

_WIDTHS = {0.5: (24, 48, 96, 192), 1.0: (24, 116, 232, 464)}  # of conv1 and stages 2, 3, 4
_BLOCKS = (4, 8, 4)
_STRIDES = (4, 8, 16, 32)


class ShuffleUnit(nn.Module):
    """Split, transform one half, join and shuffle (Figure 3c); at stride 2 transform both (3d).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, even; equal to ``in_channels`` at stride 1.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.stride = stride
        self.branch1: nn.Module = nn.Identity()
        if stride == 2:
            self.branch1 = nn.Sequential(
                *_depthwise(in_channels, stride), *_pointwise(in_channels, half)
            )
        inputs = in_channels if stride == 2 else half
        self.branch2 = nn.Sequential(
            *_pointwise(inputs, half), *_depthwise(half, stride), *_pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        left, right = (x, x) if self.stride == 2 else x.chunk(2, dim=1)
        return shuffle_channels(torch.cat([self.branch1(left), self.branch2(right)], dim=1))


class ShuffleNetV2(nn.Module):
    """The feature pyramid of ShuffleNetV2; names and order of channels are torchvision's.

    Args:
        width: 0.5 or 1.0, the paper's widths.

    Attributes:
        channels: stride -> channels of that feature map.

    Raises:
        ConfigError: another width.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        if width not in _WIDTHS:
            raise ConfigError(f"width: expected 0.5 or 1.0 of ShuffleNetV2, got {width}")
        widths = _WIDTHS[width]
        self.channels = dict(zip(_STRIDES, widths, strict=True))
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stage2 = _stage(widths[0], widths[1], _BLOCKS[0])
        self.stage3 = _stage(widths[1], widths[2], _BLOCKS[1])
        self.stage4 = _stage(widths[2], widths[3], _BLOCKS[2])

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Map (B, 3, H, W) to {stride: (B, C, H / stride, W / stride)} for strides 4, 8, 16, 32."""
        taps = {4: self.maxpool(self.conv1(image))}
        taps[8] = self.stage2(taps[4])
        taps[16] = self.stage3(taps[8])
        taps[32] = self.stage4(taps[16])
        return taps

    def adapt_weights(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert weights of the authors' code to torchvision's; return torchvision's as they are.

        See :func:`edgecount.train.models.shufflenet_authors.from_authors`.
        """
        if "first_conv.0.weight" not in arrays:
            return dict(arrays)
        widths = [self.channels[stride] for stride in _STRIDES]
        return from_authors(arrays, widths, _BLOCKS)


def shuffle_channels(x: Tensor) -> Tensor:
    """Interleave the two halves of the channels: (B, C, H, W) -> the same shape."""
    halves = torch.unflatten(x, 1, (2, x.shape[1] // 2))
    return halves.transpose(1, 2).flatten(1, 2)


def _stage(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    units = [ShuffleUnit(in_channels, out_channels, 2)]
    units += [ShuffleUnit(out_channels, out_channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(*units)


def _pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    layer = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return [layer, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    layer = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return [layer, nn.BatchNorm2d(channels)]
