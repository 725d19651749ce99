"""Backbones and towers that the detectors on feature pyramids share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec
from edgecount.train.models.base import IMAGENET_INPUT
from edgecount.train.models.efficientnet_lite import EfficientNetLite
from edgecount.train.models.fpn import COARSEST_TAP, Coarse, FeaturePyramid
from edgecount.train.models.mobilenet_v2 import MobileNetV2
from edgecount.train.models.resnet import ResNet50

PyramidBackbone = Literal["resnet50", "mobilenet_v2", "efficientnet_lite0"]
Norm = Literal["none", "batch", "group"]

# RetinaNet's prior: every place starts as a head with this probability.
PRIOR = 0.01
# Group norm's 32 groups (Wu and He 2018), with fewer than 8 channels in none.
_GROUPS, _LEAST_CHANNELS = 32, 8


def make_backbone(name: PyramidBackbone, width: float) -> tuple[nn.Module, dict[int, int]]:
    """Return a backbone, and the channels of its maps by stride.

    Raises:
        ConfigError: a width other than 1 of a backbone that has one width alone.
    """
    if name == "mobilenet_v2":
        mobile = MobileNetV2(width=width)
        return mobile, mobile.channels
    if width != 1.0:
        raise ConfigError(f"model.width: expected 1.0 of {name}, got {width}")
    backbone = EfficientNetLite() if name == "efficientnet_lite0" else ResNet50()
    return backbone, backbone.channels


def input_of(backbone: str, strides: Sequence[int]) -> InputSpec:
    """Return the normalisation that a backbone's ImageNet weights expect, and the padding."""
    multiple = max(COARSEST_TAP, strides[-1])
    if backbone == "efficientnet_lite0":
        spec = InputSpec(mean=(127.0, 127.0, 127.0), scale=(1 / 128, 1 / 128, 1 / 128))
    else:
        spec = InputSpec() if backbone == "mobilenet_v2" else IMAGENET_INPUT
    return dataclasses.replace(spec, multiple=multiple)


class Pyramid(nn.Module):
    """A backbone and its feature pyramid.

    Args:
        backbone: name of the backbone.
        width: multiplier of MobileNetV2's channels.
        channels: channels of every level.
        strides: strides of the levels.
        coarse: what stride 64 is made of, see :class:`FeaturePyramid`.
    """

    def __init__(
        self,
        backbone: PyramidBackbone,
        width: float,
        channels: int,
        strides: Sequence[int],
        coarse: Coarse,
    ) -> None:
        super().__init__()
        self.backbone, in_channels = make_backbone(backbone, width)
        self.fpn = FeaturePyramid(in_channels, channels, strides, coarse)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, 3, H, W) to one (B, channels, H / stride, W / stride) a level."""
        levels: tuple[Tensor, ...] = self.fpn(self.backbone(image))
        return levels


def tower(channels: int, depth: int, norm: Norm) -> nn.Sequential:
    """Return ``depth`` 3x3 convolutions with ReLU, started from a Gaussian of 0.01.

    Args:
        channels: channels in and out.
        depth: number of convolutions.
        norm: ``none`` (RetinaNet, FoveaBox), ``group`` (FCOS), or ``batch``, which an exported
            graph has inside its convolutions.

    Raises:
        ConfigError: the depth is below 0.
    """
    if depth < 0:
        raise ConfigError(f"model.depth: expected 0 or more convolutions, got {depth}")
    layers = nn.Sequential()
    for _ in range(depth):
        layers.append(dense(channels, channels, bias=norm == "none"))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(channels))
        elif norm == "group":
            layers.append(nn.GroupNorm(_groups(channels), channels))
        layers.append(nn.ReLU())
    return layers


def dense(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 3x3 convolution started from a Gaussian of 0.01 without bias (RetinaNet)."""
    layer = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def start_rare(layer: nn.Conv2d) -> None:
    """Set a bias so that every place is a head with the probability :data:`PRIOR`.

    From 0.5 the loss of a hundred thousand empty places would drown the heads' (Lin et al. 2017,
    section 3.3).
    """
    assert layer.bias is not None
    nn.init.constant_(layer.bias, -math.log((1.0 - PRIOR) / PRIOR))


def _groups(channels: int) -> int:
    """Return the number of groups of a norm: 32 of 256 channels, fewer of fewer channels."""
    most = max(min(_GROUPS, channels // _LEAST_CHANNELS), 1)
    return next(number for number in range(most, 0, -1) if channels % number == 0)
