"""MobileNetV2 (Sandler et al. 2018), cut after the 160-channel stage at stride 32."""

from __future__ import annotations

from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.models.layers import conv_bn

# (expansion, channels, blocks, stride) up to features.16; the last two stages of the classifier
# hold a third of its weights and give a density map nothing.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
)
_TAPS = {3: 4, 6: 8, 13: 16, 16: 32}  # index of the last block at a stride -> that stride

_TAP_CHANNELS = {4: 24, 8: 32, 16: 96, 32: 160}


def scaled(channels: int, width: float) -> int:
    """Round ``channels * width`` to a multiple of 8, losing at most a tenth, at least 8."""
    if not width > 0:
        raise ConfigError(f"model.width: expected a number above 0, got {width}")
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels * width else rounded


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; a shortcut where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [] if expansion == 1 else [conv_bn(in_channels, hidden, 1)]
        self.conv = nn.Sequential(
            *expand,
            conv_bn(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.shortcut else out


class MobileNetV2(nn.Module):
    """The feature pyramid of MobileNetV2; parameter names are torchvision's ``features.N``.

    Args:
        width: multiplier of the channels, each rounded to a multiple of 8.

    Attributes:
        channels: stride -> channels of that feature map.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        self.channels = {stride: scaled(c, width) for stride, c in _TAP_CHANNELS.items()}
        in_channels = scaled(32, width)
        layers: list[nn.Module] = [conv_bn(3, in_channels, 3, 2)]
        for expansion, base, blocks, stride in _STAGES:
            out_channels = scaled(base, width)
            for block in range(blocks):
                layers.append(
                    InvertedResidual(
                        in_channels, out_channels, stride if block == 0 else 1, expansion
                    )
                )
                in_channels = out_channels
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Map (B, 3, H, W) to {stride: (B, C, H / stride, W / stride)} for strides 4, 8, 16, 32."""
        taps = {}
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                taps[_TAPS[index]] = x
        return taps
