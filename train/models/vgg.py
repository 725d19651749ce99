"""VGG-16 (Simonyan and Zisserman 2015), without its classifier."""

from __future__ import annotations

from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.models.layers import gaussian_start

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions


class VGG16(nn.Module):
    """The convolutions of VGG-16; parameter names are torchvision's ``features.N``.

    Args:
        stages: number of the five that are kept; the pooling after the last one is left out.
        batch_norm: add batch norms, as torchvision's vgg16_bn does.
        width: multiplier of the channels, at least 8 of which are kept; no ImageNet weights fit
            another than 1.
        pretrained_layers: convolutions, from the first, that ImageNet weights are for; the others
            start from a Gaussian of 0.01.

    Attributes:
        channels: channels of each stage's output.
        pretrained_names: names of the weights that ImageNet weights are for.

    Raises:
        ConfigError: the width is not above 0, or there are no such layers.
    """

    def __init__(
        self,
        *,
        stages: int = 5,
        batch_norm: bool = False,
        width: float = 1.0,
        pretrained_layers: int = 13,
    ) -> None:
        super().__init__()
        if not width > 0:
            raise ConfigError(f"model.width: expected a number above 0, got {width:g}")
        if not 0 <= pretrained_layers <= 13:
            raise ConfigError(
                f"model.pretrained_layers: expected 0 to 13 convolutions, got {pretrained_layers}"
            )
        kept = [(max(round(c * width), min(c, 8)), n) for c, n in _STAGES[:stages]]
        layers: list[nn.Module] = []
        self._ends = []
        in_channels = 3
        for index, (channels, convolutions) in enumerate(kept):
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
        self.channels = tuple(channels for channels, _ in kept)
        self._start(pretrained_layers)

    def _start(self, pretrained_layers: int) -> None:
        """Draw the first weights of all layers."""
        places = [
            place for place, layer in enumerate(self.features) if isinstance(layer, nn.Conv2d)
        ]
        # a batch norm belongs to the convolution before it
        end = places[pretrained_layers] if pretrained_layers < len(places) else len(self.features)
        self.pretrained_names = tuple(
            name for name in self.state_dict() if int(name.split(".")[1]) < end
        )
        for place in places:
            layer = self.features[place]
            if place >= end:
                gaussian_start(layer)
                continue
            # Gaussians of 0.01 through 13 layers would give nothing to learn from; ImageNet
            # weights replace these where there are any.
            nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")
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
