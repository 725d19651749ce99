"""CSP-Darknet and PANet as in YOLOv5 (Jocher et al. 2020; releases 6 and later)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CHANNELS = {4: 128, 8: 256, 16: 512, 32: 1024}
_BLOCKS = {4: 3, 8: 6, 16: 9, 32: 3}
_EPSILON, _MOMENTUM = 1e-3, 0.03  # of its batch norms


def conv_silu(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    """Return convolution, batch norm and SiLU: (B, in, H, W) to (B, out, H / s, W / s)."""
    padding = 2 if kernel == 6 else kernel // 2  # 6 is the stem's, at stride 2
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(out_channels, _EPSILON, _MOMENTUM),
        nn.SiLU(),
    )


class Residual(nn.Module):
    """1x1 and 3x3 convolutions, with a shortcut if asked for."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_silu(channels, channels), conv_silu(channels, channels, 3))
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        out: Tensor = self.body(x)
        return x + out if self.shortcut else out


class CSP(nn.Module):
    """A cross stage partial block of three convolutions (C3): half the channels skip the blocks.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        blocks: number of residual blocks.
        shortcut: whether these have shortcuts.
    """

    def __init__(
        self, in_channels: int, out_channels: int, blocks: int, *, shortcut: bool = True
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.inner = nn.Sequential(
            conv_silu(in_channels, hidden),
            *(Residual(hidden, shortcut=shortcut) for _ in range(blocks)),
        )
        self.outer = conv_silu(in_channels, hidden)
        self.join = conv_silu(2 * hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H, W)."""
        out: Tensor = self.join(torch.cat([self.inner(x), self.outer(x)], 1))
        return out


class SPPF(nn.Module):
    """Spatial pyramid pooling: 5x5 maxima, three times in a row, beside the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = conv_silu(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join = conv_silu(channels // 2 * 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        maps = [self.reduce(x)]
        for _ in range(3):
            maps.append(self.pool(maps[-1]))
        out: Tensor = self.join(torch.cat(maps, 1))
        return out


def scaled_blocks(blocks: int, depth: float) -> int:
    """Return a number of blocks times the depth multiple, at least 1."""
    return max(round(blocks * depth), 1)


def scaled_channels(channels: int, width: float) -> int:
    """Return channels times the width multiple, rounded up to a multiple of 8."""
    return -(-int(channels * width) // 8) * 8


class CSPDarknet(nn.Module):
    """The backbone: a 6x6 stem, four stages of a halving convolution and a CSP block, SPPF.

    Args:
        depth: multiple of the number of blocks.
        width: multiple of the channels.

    Attributes:
        channels: stride -> channels of that feature map.
    """

    def __init__(self, depth: float, width: float) -> None:
        super().__init__()
        self.channels = {s: scaled_channels(c, width) for s, c in _CHANNELS.items()}
        before = scaled_channels(64, width)
        self.stem = conv_silu(3, before, 6, 2)
        self.stages = nn.ModuleDict()
        for stride, channels in self.channels.items():
            blocks = scaled_blocks(_BLOCKS[stride], depth)
            stage = nn.Sequential(
                conv_silu(before, channels, 3, 2), CSP(channels, channels, blocks)
            )
            self.stages[str(stride)] = stage
            before = channels
        self.pool = SPPF(before)

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Map (B, 3, H, W) to {stride: (B, C, H / stride, W / stride)} for strides 4, 8, 16, 32."""
        taps = {}
        x = self.stem(image)
        for name, stage in self.stages.items():
            x = stage(x)
            taps[int(name)] = x
        taps[32] = self.pool(taps[32])
        return taps


class PANet(nn.Module):
    """A path aggregation network (Liu et al. 2018): a way down the pyramid, and one up again.

    Args:
        in_channels: stride -> channels of the backbone's maps.
        strides: levels of the result, from fine to coarse, the last one 32.
        depth: multiple of the number of blocks.
    """

    def __init__(
        self, in_channels: Mapping[int, int], strides: Sequence[int], depth: float
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        blocks = scaled_blocks(3, depth)
        self.reduce, self.merge = nn.ModuleDict(), nn.ModuleDict()
        self.halve, self.aggregate = nn.ModuleDict(), nn.ModuleDict()
        for fine, coarse in zip(self.strides, self.strides[1:], strict=False):
            narrow, wide = in_channels[fine], in_channels[coarse]
            self.reduce[str(coarse)] = conv_silu(wide, narrow)
            self.merge[str(fine)] = CSP(2 * narrow, narrow, blocks, shortcut=False)
            self.halve[str(coarse)] = conv_silu(narrow, narrow, 3, 2)
            self.aggregate[str(coarse)] = CSP(2 * narrow, wide, blocks, shortcut=False)

    def forward(self, taps: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        """Map the backbone's {stride: (B, C, H / stride, W / stride)} to one map a level."""
        reduced: dict[int, Tensor] = {}
        x = taps[self.strides[-1]]
        pairs = list(zip(self.strides, self.strides[1:], strict=False))
        for fine, coarse in reversed(pairs):
            reduced[coarse] = self.reduce[str(coarse)](x)
            enlarged = F.interpolate(reduced[coarse], scale_factor=2.0, mode="nearest")
            x = self.merge[str(fine)](torch.cat([enlarged, taps[fine]], 1))
        levels = [x]
        for _, coarse in pairs:
            halved = self.halve[str(coarse)](levels[-1])
            joined = torch.cat([halved, reduced[coarse]], 1)
            levels.append(self.aggregate[str(coarse)](joined))
        return tuple(levels)
