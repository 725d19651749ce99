"""VGG-16 (Simonyan and Zisserman 2015), without its classifier."""

from __future__ import annotations

from torch import Tensor, nn

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions


class VGG16(nn.Module):
    """The convolutions of VGG-16; parameter names are torchvision's ``features.N``.

    Args:
        stages: number of the five that are kept; the pooling after the last one is left out.
        batch_norm: add batch norms, as torchvision's vgg16_bn does.

    Attributes:
        channels: channels of each stage's output.
    """

    def __init__(self, *, stages: int = 5, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self._ends = []
        in_channels = 3
        for index, (channels, convolutions) in enumerate(_STAGES[:stages]):
            if index:
                layers.append(nn.MaxPool2d(2))
            for _ in range(convolutions):
                layers.append(nn.Conv2d(in_channels, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                in_channels = channels
            self._ends.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)
        self.channels = tuple(channels for channels, _ in _STAGES[:stages])
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                # Gaussians of 0.01 through 13 layers would give nothing to learn from; ImageNet
                # weights replace these where there are any.
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (B, 3, H, W) to the stages' outputs, at strides 1, 2, 4, 8, 16."""
        taps = []
        x = image
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._ends:
                taps.append(x)
        return taps
