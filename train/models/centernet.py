"""CenterNet (Zhou, Wang and Kraehenbuehl 2019) with DLA-34."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.deformable import DeformableConv2d
from edgecount.train.models.dla import DLA34
from edgecount.train.models.edge import positive
from edgecount.train.models.recalibration import bilinear_upsampling

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


class CenterNet(Network):
    """Heatmap, offset and size at stride 4.

    Args:
        up: convolutions of the up-sampling path: ``plain`` exports and quantises everywhere;
            ``deformable`` is the authors'.
        head_channels: channels of the 3x3 convolution before each output.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=32)
    pretrained = "backbone"
    outputs = (
        OutputSpec("heatmap", "heatmap", STRIDE),
        OutputSpec("offset", "offset", STRIDE),
        OutputSpec("size", "size", STRIDE),
    )

    def __init__(self, *, up: Up = "plain", head_channels: int = 256) -> None:
        super().__init__()
        self.backbone = DLA34()
        channels = self.backbone.channels[2:]
        self.up = UpSampling(channels, up)
        self.heatmap = _head(channels[0], head_channels, 1)
        self.offset = _head(channels[0], head_channels, 2)
        self.size = _head(channels[0], head_channels, 2)
        # a probability of 0.1 everywhere at the start (RetinaNet's prior)
        nn.init.constant_(self.heatmap[-1].get_parameter("bias"), -2.19)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 32.

        The size is ``softplus`` times the stride, px: always above 0, near linear for heads of more
        than a cell.
        """
        features = self.up(self.backbone(image)[2:])
        return Maps(
            heatmap_logits=self.heatmap(features),
            offset=torch.sigmoid(self.offset(features)),
            size=positive(self.size(features)) * float(STRIDE),
        )


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
