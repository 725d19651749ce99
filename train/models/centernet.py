"""CenterNet (Zhou, Wang and Kraehenbuehl 2019) with DLA-34, or with a mobile network."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec, OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.deformable import DeformableConv2d
from edgecount.train.models.dla import DLA34
from edgecount.train.models.edge import TopDown, positive
from edgecount.train.models.layers import conv_bn, separable
from edgecount.train.models.mobilenet_v2 import MobileNetV2
from edgecount.train.models.recalibration import bilinear_upsampling

CenterNetBackbone = Literal["dla34", "mobilenet_v2"]
Up = Literal["plain", "deformable"]

STRIDE = 4


class Aggregation(nn.Module):
    """Iterative deep aggregation (IDAUp): each deeper map is enlarged and joins the one before.

    Args:
        out_channels: channels of the result.
        channels: channels of the maps, from fine to coarse.
        factors: size of the first over that of each map.
        up: the convolutions' kind.
    """

    def __init__(
        self, out_channels: int, channels: Sequence[int], factors: Sequence[int], up: Up
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(_node(c, out_channels, up) for c in channels[1:])
        self.enlarge = nn.ModuleList(bilinear_upsampling(out_channels, f) for f in factors[1:])
        self.node = nn.ModuleList(_node(out_channels, out_channels, up) for _ in channels[1:])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Aggregate maps, fine to coarse; return the first, and its aggregates with each next."""
        out = [maps[0]]
        for project, enlarge, node, coarse in zip(
            self.project, self.enlarge, self.node, maps[1:], strict=True
        ):
            out.append(node(enlarge(project(coarse)) + out[-1]))
        return out


class UpSampling(nn.Module):
    """DLAUp and the last IDAUp: strides 4, 8, 16, 32 -> one map at stride 4.

    Args:
        channels: channels of the four maps.
        up: the convolutions' kind.
    """

    def __init__(self, channels: Sequence[int], up: Up) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        widths, factors = list(channels), [1, 2, 4, 8]
        for index in range(len(channels) - 2, -1, -1):
            relative = [factor // factors[index] for factor in factors[index:]]
            self.steps.append(Aggregation(channels[index], widths[index:], relative, up))
            widths[index + 1 :] = [channels[index]] * len(widths[index + 1 :])
            factors[index + 1 :] = [factors[index]] * len(factors[index + 1 :])
        self.last = Aggregation(channels[0], channels[:-1], [1, 2, 4], up)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map four pyramid levels to (B, channels[0], H / 4, W / 4)."""
        layers = list(maps)
        results: list[Tensor] = []
        for index, step in zip(range(len(layers) - 2, -1, -1), self.steps, strict=True):
            layers[index:] = step(layers[index:])
            results.insert(0, layers[-1])
        out: Tensor = self.last(results)[-1]
        return out


class LightNeck(nn.Module):
    """A feature pyramid's way down from stride 32 to stride 4, of depthwise convolutions.

    Args:
        channels: stride -> channels of the backbone's maps.
        out_channels: channels of the result.
    """

    def __init__(self, channels: dict[int, int], out_channels: int) -> None:
        super().__init__()
        self.context = nn.Sequential(
            conv_bn(channels[32], out_channels, 1), separable(out_channels, out_channels, 5)
        )
        self.steps = nn.ModuleDict(
            {str(stride): TopDown(channels[stride], out_channels) for stride in (16, 8, 4)}
        )

    def forward(self, taps: dict[int, Tensor]) -> Tensor:
        """Map the maps at strides 4 to 32 to (B, out_channels, H / 4, W / 4)."""
        out: Tensor = self.context(taps[32])
        for stride, step in self.steps.items():
            out = step(out, taps[int(stride)])
        return out


class CenterNet(Network):
    """Heatmap, offset and size at stride 4.

    Args:
        backbone: ``dla34``, the paper's; ``mobilenet_v2`` with a light neck, which a CPU trains.
        up: convolutions of DLA's up-sampling path: ``plain`` exports and quantises everywhere;
            ``deformable`` is the authors'.
        width: multiplier of MobileNetV2's channels.
        channels: channels of the light neck.
        head_channels: channels of the 3x3 convolution before each output.
        offset: end of the offset's head: ``sigmoid`` keeps a head inside the cell of its peak, as
            the annotated ones are; ``linear`` is the authors', cut to the cell when deployed.
        size: end of the size's head: ``softplus``, above 0 and with a gradient everywhere; or
            ``linear``, the authors', cut at 0 when deployed. Both are times the stride, px, so that
            a start near 0 is not far from heads of some cells.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=32)
    pretrained = "backbone"
    outputs = (
        OutputSpec("heatmap", "heatmap", STRIDE),
        OutputSpec("offset", "offset", STRIDE),
        OutputSpec("size", "size", STRIDE),
    )

    def __init__(
        self,
        *,
        backbone: CenterNetBackbone = "dla34",
        up: Up = "plain",
        width: float = 1.0,
        channels: int = 64,
        head_channels: int = 256,
        offset: Literal["sigmoid", "linear"] = "sigmoid",
        size: Literal["softplus", "linear"] = "softplus",
    ) -> None:
        super().__init__()
        self.linear_offset, self.linear_size = offset == "linear", size == "linear"
        self.backbone: DLA34 | MobileNetV2
        self.up: UpSampling | LightNeck
        if backbone == "dla34":
            if width != 1.0:
                raise ConfigError(f"model.width: expected 1.0 of dla34, got {width}")
            self.backbone = DLA34()
            self.up = UpSampling(self.backbone.channels[2:], up)
            features = self.backbone.channels[2]
        else:
            if up != "plain":
                raise ConfigError(
                    f"model.up: expected plain with the backbone {backbone}, got {up}: deformable "
                    "convolutions belong to dla34"
                )
            self.input = dataclasses.replace(InputSpec(), multiple=32)
            self.backbone = MobileNetV2(width=width)
            self.up = LightNeck(self.backbone.channels, channels)
            features = channels
        self.heatmap = _head(features, head_channels, 1)
        self.offset = _head(features, head_channels, 2)
        self.size = _head(features, head_channels, 2)
        # a probability of 0.1 everywhere at the start (RetinaNet's prior)
        nn.init.constant_(self.heatmap[-1].get_parameter("bias"), -2.19)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 32."""
        taps = self.backbone(image)
        features = self.up(taps[2:] if isinstance(self.backbone, DLA34) else taps)
        offset, size = self.offset(features), self.size(features)
        return Maps(
            heatmap_logits=self.heatmap(features),
            offset=offset if self.linear_offset else torch.sigmoid(offset),
            size=(size if self.linear_size else positive(size)) * float(STRIDE),
        )

    def deploy(self, maps: Maps) -> tuple[Tensor, ...]:
        """Return heatmap, offset and size, what is linear cut to its range; see the base class."""
        offset, size = maps.offset, maps.size
        assert offset is not None
        assert size is not None
        if self.linear_offset:
            offset = offset.clamp(0.0, 1.0)
        if self.linear_size:
            size = torch.relu(size)
        return super().deploy(maps._replace(offset=offset, size=size))


def _node(in_channels: int, out_channels: int, up: Up) -> nn.Sequential:
    convolution: nn.Module
    if up == "deformable":
        convolution = DeformableConv2d(in_channels, out_channels)
    else:
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _head(in_channels: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, hidden, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, outputs, 1),
    )
