"""ResNet-50 (He et al. 2016), the backbone of the canonical detectors."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut.

    The stride is the 3x3 convolution's, as in torchvision; the paper puts it on the first 1x1.

    Args:
        in_channels: channels of the input.
        channels: channels of the 3x3 convolution; the output has four times as many.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = _EXPANSION * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 4 channels, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        return F.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class ResNet50(nn.Module):
    """The feature pyramid of ResNet-50; parameter names are torchvision's.

    Attributes:
        channels: stride -> channels of that feature map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels = {4: 256, 8: 512, 16: 1024, 32: 2048}
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        in_channels = 64
        for number, blocks in enumerate(_BLOCKS, 1):
            channels = 32 * 2**number
            layer = nn.Sequential()
            for block in range(blocks):
                stride = 2 if block == 0 and number > 1 else 1
                layer.append(Bottleneck(in_channels, channels, stride))
                in_channels = _EXPANSION * channels
            self.add_module(f"layer{number}", layer)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, as the paper starts
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Map (B, 3, H, W) to {stride: (B, C, H / stride, W / stride)} for strides 4, 8, 16, 32."""
        taps = {}
        x = self.maxpool(F.relu(self.bn1(self.conv1(image))))
        for number, stride in enumerate(self.channels, 1):
            x = self.get_submodule(f"layer{number}")(x)
            taps[stride] = x
        return taps
