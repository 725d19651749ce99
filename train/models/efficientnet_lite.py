"""EfficientNet-Lite0 (Tan and Le 2019; Google's variant without squeeze and swish)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.models.depthwise import DepthwiseConv2d
from edgecount.train.models.layers import conv_bn

# (expansion, channels, blocks, kernel, stride), without the classifier's 1x1 convolution.
_STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
_STEM = 32
_EPSILON = 1e-3
_TAPS = {2: 4, 4: 8, 10: 16}  # number of the last block at a stride -> that stride
_LEAST, _ALL = 12, 16  # blocks: the first at stride 32 with its successor, and all there are


class MobileBlock(nn.Module):
    """Expand 1x1, depthwise, project 1x1; a shortcut where shapes agree.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the depthwise kernel, 3 or 5.
        stride: 1 or 2.
        expansion: channels of the depthwise convolution for each of the input's.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [] if expansion == 1 else [conv_bn(in_channels, hidden, 1)]
        depthwise = (
            conv_bn(hidden, hidden, kernel, groups=hidden)
            if stride == 1
            else _halving(hidden, hidden, kernel, groups=hidden)
        )
        project = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.conv = nn.Sequential(*expand, depthwise, project, nn.BatchNorm2d(out_channels))
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.shortcut else out


class EfficientNetLite(nn.Module):
    """The feature pyramid of EfficientNet-Lite0.

    Args:
        blocks: number of its blocks, 12 to 16; 13 cost about what MobileNetV2 costs here.

    Attributes:
        channels: stride -> channels of that feature map.

    Raises:
        ConfigError: another number of blocks.
    """

    def __init__(self, *, blocks: int = 13) -> None:
        super().__init__()
        if not _LEAST <= blocks <= _ALL:
            raise ConfigError(f"blocks: expected {_LEAST} to {_ALL}, got {blocks}")
        layers: list[nn.Module] = [_halving(3, _STEM, 3)]
        in_channels = _STEM
        self._taps = {**_TAPS, blocks - 1: 32}
        self.channels: dict[int, int] = {}
        for number, (expansion, out_channels, kernel, stride) in enumerate(_blocks()):
            if number == blocks:
                break
            layers.append(MobileBlock(in_channels, out_channels, kernel, stride, expansion))
            in_channels = out_channels
            if number in self._taps:
                self.channels[self._taps[number]] = out_channels
        self.features = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _EPSILON

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Map (B, 3, H, W) to {stride: (B, C, H / stride, W / stride)} for strides 4, 8, 16, 32.

        Height and width are multiples of 32, at which the padding below is TensorFlow's ``SAME``.
        """
        taps = {}
        x = image
        for number, layer in enumerate(self.features, -1):  # the first is the stem
            x = layer(x)
            if number in self._taps:
                taps[self._taps[number]] = x
        return taps

    def adapt_weights(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights under the names of this network.

        Those of TensorFlow's code as converted for PyTorch (``_conv_stem``, ``_blocks.N``), in half
        or single precision, are renamed; others are returned as they are.
        """
        if "_conv_stem.weight" not in arrays:
            return dict(arrays)
        renamed = {}
        for theirs, ours in self._names():
            for name, value in arrays.items():
                if name.startswith(f"{theirs}."):
                    renamed[ours + name.removeprefix(theirs)] = value.float()
        return renamed

    def _names(self) -> Iterator[tuple[str, str]]:
        """Yield TensorFlow's name and ours of every convolution and norm."""
        yield "_conv_stem", "features.0.1"
        yield "_bn0", "features.0.2"
        for number, layer in enumerate(list(self.features)[1:]):
            assert isinstance(layer, MobileBlock)
            theirs, ours = f"_blocks.{number}", f"features.{number + 1}.conv"
            place = 0
            if len(layer.conv) == 4:
                yield f"{theirs}._expand_conv", f"{ours}.0.0"
                yield f"{theirs}._bn0", f"{ours}.0.1"
                place = 1
            depthwise = layer.conv[place]
            assert isinstance(depthwise, nn.Sequential)
            first = 1 if isinstance(depthwise[0], nn.ZeroPad2d) else 0
            yield f"{theirs}._depthwise_conv", f"{ours}.{place}.{first}"
            yield f"{theirs}._bn1", f"{ours}.{place}.{first + 1}"
            yield f"{theirs}._project_conv", f"{ours}.{place + 1}"
            yield f"{theirs}._bn2", f"{ours}.{place + 2}"


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    """Yield expansion, channels, kernel and stride of every block."""
    for expansion, channels, number, kernel, stride in _STAGES:
        for block in range(number):
            yield expansion, channels, kernel, stride if block == 0 else 1


def _halving(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Return padding, convolution, batch norm and ReLU6 at half the size.

    TensorFlow pads an even side by one pixel more at its end than at its start.
    """
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    convolution = (
        DepthwiseConv2d(in_channels, kernel, 2, padding=0)
        if groups == in_channels == out_channels
        else nn.Conv2d(in_channels, out_channels, kernel, 2, groups=groups, bias=False)
    )
    return nn.Sequential(
        nn.ZeroPad2d((before, after, before, after)),
        convolution,
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )
