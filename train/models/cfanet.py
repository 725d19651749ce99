"""CFANet (WACV 2021, arXiv 2011.03721): coarse and fine attention, four supervised stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.manifest import OutputSpec
from edgecount.train.models.base import IMAGENET_INPUT, Maps, Network
from edgecount.train.models.layers import conv_relu, gaussian_start
from edgecount.train.models.vgg import VGG16

FEATURES = (512, 256, 128, 64)  # of the taps, from stride 8 to 1


class Decoder(nn.Module):
    """One column of four stages from stride 8 to stride 1, with the taps as skip inputs.

    Args:
        widths: channels of the stages.
        dilation: dilation of their convolutions.
    """

    def __init__(self, widths: Sequence[int], dilation: int = 1) -> None:
        super().__init__()
        below = (0, *widths[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(*conv_relu(tap + coarse, width, dilation=dilation))
            for tap, coarse, width in zip(FEATURES, below, widths, strict=True)
        )

    def stage(self, index: int, tap: Tensor, coarse: Tensor | None) -> Tensor:
        """Return the features of a stage from its tap and the stage before, at half the size."""
        if coarse is not None:
            enlarged = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
            tap = torch.cat([tap, enlarged], dim=1)
        out: Tensor = self.stages[index](tap)
        return out


class CFANet(Network):
    """Density at stride 1, times 50, from features refined by two kinds of attention.

    At every stage ``F <- F + A F``: in the density level estimator (DLE) with the coarse attention
    map of the crowd region recognizer (CRR), in the density map estimator (DME) with the fine
    attention map of the DLE. A stage's features are enlarged to the input's size, where a 3x3
    convolution gives a density (:func:`enlarged_convolution`); the last stage, which has that size,
    ends in a 1x1 convolution.

    ``auxiliary["stages"]``: the supervised densities (B, 1, H, W), the last one the output;
    ``auxiliary["cam_logits"]``: four (B, 1, h, w); ``auxiliary["fam_logits"]``: four (B, K, h, w).

    Args:
        crr: with the crowd region recognizer; alone, its maps refine the DME.
        dle: with the density level estimator; alone, its maps are not refined.
        classes: K of the fine attention map, background included.
        supervised_stages: number of stages, counted from the last, that give a density; 4 is all.
            Attention is supervised at every stage, else its maps would mean nothing.
        expansion: factor of the density over people per pixel.
    """

    input = dataclasses.replace(IMAGENET_INPUT, multiple=8)
    pretrained = "features"
    densities = ("stages",)

    weights: Tensor

    def __init__(
        self,
        *,
        crr: bool = True,
        dle: bool = True,
        classes: int = 6,
        supervised_stages: int = 4,
        expansion: float = 50.0,
    ) -> None:
        super().__init__()
        if classes < 3:
            raise ConfigError(f"model.classes: expected 3 or more, got {classes}")
        if not 1 <= supervised_stages <= 4:
            raise ConfigError(f"model.supervised_stages: expected 1 to 4, got {supervised_stages}")
        if not 1e-3 <= expansion <= 1e6:
            raise ConfigError(f"model.expansion: expected 0.001 to 1000000, got {expansion}")
        self.outputs = (OutputSpec("density", "density", 1, float(expansion)),)
        self.features = VGG16(stages=4)
        coarse, fine, density = (256, 128, 128, 64), (256, 256, 128, 64), (512, 256, 256, 64)
        self.crr = Decoder(coarse) if crr else None
        self.cam = _outputs(coarse, 1) if crr else None
        self.dle = Decoder(fine) if dle else None
        self.fam = _outputs(fine, classes) if dle else None
        self.dme = Decoder(density, dilation=2)
        kernels = (3, 3, 3, 1)
        self.regress = nn.ModuleList(
            nn.Conv2d(c, 1, k, padding=k // 2) if index >= 4 - supervised_stages else nn.Identity()
            for index, (c, k) in enumerate(zip(density, kernels, strict=True))
        )
        gaussian_start(self.regress)
        self.register_buffer("weights", torch.linspace(0, 1, classes).reshape(1, -1, 1, 1))

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 8."""
        taps = self.features(image)[::-1]
        cams, fams, stages = [], [], []
        c: Tensor | None = None
        f: Tensor | None = None
        d: Tensor | None = None
        for index, tap in enumerate(taps):
            attention: Tensor | None = None
            if self.crr is not None and self.cam is not None:
                c = self.crr.stage(index, tap, c)
                cams.append(self.cam[index](c))
                attention = torch.sigmoid(cams[-1])
            if self.dle is not None and self.fam is not None:
                f = refine(self.dle.stage(index, tap, f), attention)
                fams.append(self.fam[index](f))
                attention = (torch.softmax(fams[-1], dim=1) * self.weights).sum(1, keepdim=True)
            d = refine(self.dme.stage(index, tap, d), attention)
            layer, factor = self.regress[index], 2 ** (len(taps) - 1 - index)
            if isinstance(layer, nn.Conv2d):
                stages.append(layer(d) if factor == 1 else enlarged_convolution(d, layer, factor))
        auxiliary = {
            "stages": tuple(stages),
            "cam_logits": tuple(cams),
            "fam_logits": tuple(fams),
        }
        return Maps(stages[-1], auxiliary=auxiliary)


def refine(features: Tensor, attention: Tensor | None) -> Tensor:
    """Apply residual attention: ``F + A F``; ``F`` where there is none."""
    return features if attention is None else features + attention * features


def _outputs(widths: Sequence[int], channels: int) -> nn.ModuleList:
    layers = nn.ModuleList(nn.Conv2d(width, channels, 3, padding=1) for width in widths)
    gaussian_start(layers)
    return layers


def enlarged_convolution(features: Tensor, layer: nn.Conv2d, factor: int) -> Tensor:
    """Return a 3x3 convolution to one channel of features that are enlarged first.

    Interpolation and the sum over channels commute: each of the nine taps sums the channels at the
    features' own size, the nine maps are enlarged, and shifted copies of them are added. That is
    the convolution of the enlarged features, without 512 channels at the input's size.

    Args:
        features: (B, C, h, w).
        layer: the convolution, C channels to 1, padded by 1.
        factor: of the bilinear enlargement.

    Returns:
        (B, 1, factor h, factor w).
    """
    taps = layer.weight[0].flatten(1).transpose(0, 1)[:, :, None, None]
    sums = F.conv2d(features, taps)
    enlarged = F.interpolate(sums, scale_factor=float(factor), mode="bilinear", align_corners=False)
    shifts = torch.eye(9, dtype=features.dtype, device=features.device).reshape(1, 9, 3, 3)
    return F.conv2d(enlarged, shifts, layer.bias, padding=1)
