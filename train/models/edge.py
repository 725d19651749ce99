"""The edge models: density and head heatmap from one pass of a mobile network."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec, OutputSpec
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.efficientnet_lite import EfficientNetLite
from edgecount.train.models.focus import ScaleFocus
from edgecount.train.models.fold import fold_children
from edgecount.train.models.layers import conv_bn, separable
from edgecount.train.models.mobilenet_v2 import MobileNetV2
from edgecount.train.models.recalibration import ScaleRecalibration
from edgecount.train.models.shufflenet_v2 import ShuffleNetV2

# Start from the rates of a sparse scene: 0.02 people a cell, 2% of cells a head; a start at 0.5
# spends the first hundred steps on unlearning people.
_SPARSE = -3.9

Backbone = Literal["mobilenet_v2", "shufflenet_v2", "efficientnet_lite0"]
Auxiliary = dict[str, tuple[Tensor, ...]]


class TopDown(nn.Module):
    """One step of a feature pyramid (Lin et al. 2017): upsample x2, add the finer map, smooth.

    The 5x5 smoothing also blurs away the blocks that nearest-neighbour upsampling leaves; nearest
    is kept because every engine, DLA included, runs it at any size.
    """

    def __init__(self, fine_channels: int, channels: int) -> None:
        super().__init__()
        self.lateral = conv_bn(fine_channels, channels, 1)
        self.smooth = separable(channels, channels, 5)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Join (B, C, H / 2, W / 2) with (B, F, H, W) into (B, C, H, W)."""
        upsampled = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        out: Tensor = self.smooth(upsampled + self.lateral(fine))
        return out


class DensityHead(nn.Sequential):
    """Expected heads in each cell: softplus, which is positive and has a gradient everywhere.

    Args:
        channels: channels of the features.
        hidden: channels of the layer before the output.
        zero_inflated: two outputs, the rate of a Poisson variable and the logit of the cell being
            empty whatever the rate (zero-inflated Poisson); the density is the expectation.
    """

    def __init__(self, channels: int, hidden: int, *, zero_inflated: bool) -> None:
        super().__init__(conv_bn(channels, hidden), nn.Conv2d(hidden, 2 if zero_inflated else 1, 1))
        self.zero_inflated = zero_inflated
        bias = self[-1].get_parameter("bias")
        # a zero-inflated cell starts as occupied by half
        nn.init.constant_(bias, _SPARSE)
        nn.init.constant_(bias[1:], 0.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Auxiliary]:
        """Map (B, C, h, w) to the density (B, 1, h, w), and ``rate`` and ``zero_logits`` if any."""
        logits = super().forward(features).float()  # type: ignore[no-untyped-call]
        rate = positive(logits[:, :1])
        if not self.zero_inflated:
            return rate, {}
        zeros = logits[:, 1:]
        return rate * torch.sigmoid(-zeros), {"rate": (rate,), "zero_logits": (zeros,)}


class RecalibratedHead(nn.Module):
    """HSRNet's Scale Recalibration Module on the pyramid's strides 8, 16 and 32.

    ``auxiliary["scales"]`` holds the positive scale maps, for the Scale Consistency loss.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.recalibrate = ScaleRecalibration([channels] * 3, [8, 16, 32], target_stride=8)
        self.level = nn.Parameter(torch.full((1,), _SPARSE))

    def forward(self, pyramid: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Auxiliary]:
        """Map features at strides 8, 16, 32 to the density (B, 1, h, w) and ``scales``."""
        fused, scales = self.recalibrate(pyramid)
        maps = tuple(positive(scale.float() + self.level) for scale in scales)
        return positive(fused.float() + self.level), {"scales": maps}


class EdgeNet(Network):
    """MobileNetV2 to stride 32, a top-down neck to stride 4, two heads.

    The density head sees stride 8 and predicts the expected number of heads in each 8x8 cell. The
    heatmap head sees stride 4, so that heads a few pixels apart keep cells of their own
    (CenterNet, Zhou et al. 2019: heatmap and sub-cell offset; no size head).

    Args:
        backbone: ``shufflenet_v2`` in its place, whose shuffles do not run on DLA; or
            ``efficientnet_lite0``.
        width: multiplier of the backbone's channels; of ShuffleNetV2 0.5 or 1, of
            EfficientNet-Lite0 1.
        blocks: number of EfficientNet-Lite0's blocks, 12 to 16.
        channels: channels of the neck.
        fine_channels: channels of the neck at stride 4.
        focus: HSRNet's Scale Focus Module on the features of strides 8, 16 and 32.
        recalibration: HSRNet's Scale Recalibration Module in place of the density head;
            ``auxiliary["scales"]`` are its four scale maps.
        zero_inflated: a zero-inflated Poisson density, with ``auxiliary["rate"]`` and
            ``auxiliary["zero_logits"]``.
        density_stride: 8, or 4 for a density of the heatmap's features, in cells of 4 px.
        heatmap: give head points too.
        folded: no batch norms, whose work the convolutions' weights and biases do: what a deployed
            model's weights fit, to train them on. Steps are cheaper, and a crop's count does not
            depend on the rest of its batch.
    """

    input = InputSpec()
    positive = True
    pretrained = "backbone"
    densities = ("scales", "rate")

    def __init__(
        self,
        *,
        backbone: Backbone = "mobilenet_v2",
        width: float = 1.0,
        blocks: int = 13,
        channels: int = 80,
        fine_channels: int = 32,
        focus: bool = False,
        recalibration: bool = False,
        zero_inflated: bool = False,
        density_stride: Literal[8, 4] = 8,
        heatmap: bool = True,
        folded: bool = False,
    ) -> None:
        super().__init__()
        if recalibration and zero_inflated:
            raise ConfigError("model: expected recalibration or zero_inflated, not both")
        if density_stride == 4 and (recalibration or not heatmap):
            raise ConfigError(
                "model.density_stride: expected 8 with recalibration or without a heatmap, got 4"
            )
        self.backbone: MobileNetV2 | ShuffleNetV2 | EfficientNetLite
        if backbone == "shufflenet_v2":
            self.backbone = ShuffleNetV2(width=width)
            self.input = InputSpec(mean=(0.0, 0.0, 0.0), scale=(1 / 255, 1 / 255, 1 / 255))
        elif backbone == "efficientnet_lite0":
            if width != 1.0:
                raise ConfigError(f"width: expected 1.0 of EfficientNet-Lite0, got {width}")
            self.backbone = EfficientNetLite(blocks=blocks)
            self.input = InputSpec(mean=(127.0, 127.0, 127.0), scale=(1 / 128, 1 / 128, 1 / 128))
        else:
            self.backbone = MobileNetV2(width=width)
        widths = self.backbone.channels
        self.focus = nn.ModuleDict(
            {str(stride): ScaleFocus(widths[stride]) for stride in (8, 16, 32) if focus}
        )
        self.context = nn.Sequential(
            conv_bn(widths[32], channels, 1), separable(channels, channels, 5)
        )
        self.down16 = TopDown(widths[16], channels)
        self.down8 = TopDown(widths[8], channels)
        self.recalibration = recalibration
        self.density: nn.Module
        if recalibration:
            self.density = RecalibratedHead(channels)
        else:
            seen = channels if density_stride == 8 else fine_channels
            hidden = max(seen * 4 // 5, 16)
            self.density = DensityHead(seen, hidden, zero_inflated=zero_inflated)
        self.density_stride = density_stride
        self.gives_points = heatmap
        if heatmap:
            self.reduce = conv_bn(channels, fine_channels, 1)
            self.down4 = TopDown(widths[4], fine_channels)
            wide = 2 * fine_channels
            self.heads = nn.Sequential(
                conv_bn(fine_channels, fine_channels), separable(fine_channels, wide)
            )
            self.heatmap = nn.Conv2d(wide, 1, 1)
            self.offset = nn.Conv2d(wide, 2, 1)
            nn.init.constant_(self.heatmap.get_parameter("bias"), _SPARSE)
        density = replace(EDGE_OUTPUTS[0], stride=density_stride)
        self.outputs = (density, *(EDGE_OUTPUTS[1:] if heatmap else ()))
        if folded:
            fold_children(self)

    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised RGB batch (B, 3, H, W); H and W multiples of 32."""
        taps = self.backbone(image)
        for stride, module in self.focus.items():
            taps[int(stride)] = module(taps[int(stride)])
        coarse = self.context(taps[32])
        middle = self.down16(coarse, taps[16])
        fine = self.down8(middle, taps[8])
        finest = self.down4(self.reduce(fine), taps[4]) if self.gives_points else fine
        if self.recalibration:
            density, auxiliary = self.density((fine, middle, coarse))
        else:
            density, auxiliary = self.density(fine if self.density_stride == 8 else finest)
        if not self.gives_points:
            return Maps(density, auxiliary=auxiliary)
        points = self.heads(finest)
        offset = torch.sigmoid(self.offset(points).float())
        return Maps(density, self.heatmap(points).float(), offset, auxiliary=auxiliary)


def positive(logits: Tensor) -> Tensor:
    """Return the softplus: above 0 everywhere, exact far below 0, where ``log(sigmoid)`` is 0."""
    return F.softplus(logits)


EDGE_OUTPUTS = (
    OutputSpec("density", "density", 8),
    OutputSpec("heatmap", "heatmap", 4),
    OutputSpec("offset", "offset", 4),
)
