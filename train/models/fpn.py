"""The feature pyramid network (Lin et al. 2017), with RetinaNet's levels P6 and P7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

COARSEST_TAP = 32
Coarse = Literal["backbone", "pyramid"]


class FeaturePyramid(nn.Module):
    """Maps of equal channels at several strides, each with the context of all coarser ones.

    1x1 lateral convolutions, nearest upsampling, a 3x3 convolution on every sum. Levels coarser
    than stride 32 are 3x3 convolutions of stride 2, the first one of C5 (RetinaNet) or of P5
    (FCOS), the next after a ReLU.

    Args:
        in_channels: stride -> channels of the backbone's maps, at strides 4 to 32.
        channels: channels of every level.
        strides: levels of the result, powers of two in a row, from fine to coarse.
        coarse: what stride 64 is made of: ``backbone`` (C5) or ``pyramid`` (P5).
    """

    def __init__(
        self,
        in_channels: Mapping[int, int],
        channels: int,
        strides: Sequence[int],
        coarse: Coarse = "backbone",
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.coarse = coarse
        taps = [stride for stride in in_channels if stride >= self.strides[0]]
        self.lateral = nn.ModuleDict(
            {str(stride): nn.Conv2d(in_channels[stride], channels, 1) for stride in taps}
        )
        needed = {stride for stride in taps if stride in self.strides}
        if coarse == "pyramid" and self.strides[-1] > COARSEST_TAP:
            needed.add(COARSEST_TAP)
        self.smooth = nn.ModuleDict(
            {str(stride): nn.Conv2d(channels, channels, 3, padding=1) for stride in sorted(needed)}
        )
        first = in_channels[COARSEST_TAP] if coarse == "backbone" else channels
        above = [stride for stride in self.strides if stride > COARSEST_TAP]
        self.down = nn.ModuleDict(
            {
                str(stride): nn.Conv2d(first if place == 0 else channels, channels, 3, 2, 1)
                for place, stride in enumerate(above)
            }
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, taps: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        """Map the backbone's {stride: (B, C, H / stride, W / stride)} to one map a level."""
        levels: dict[int, Tensor] = {}
        above: Tensor | None = None
        for name in reversed(list(self.lateral)):
            merged = self.lateral[name](taps[int(name)])
            if above is not None:
                merged = merged + F.interpolate(above, scale_factor=2.0, mode="nearest")
            above = merged
            if name in self.smooth:
                levels[int(name)] = self.smooth[name](merged)
        for place, (name, convolution) in enumerate(self.down.items()):
            if place:
                source = F.relu(levels[int(name) // 2])
            else:
                source = (taps if self.coarse == "backbone" else levels)[COARSEST_TAP]
            levels[int(name)] = convolution(source)
        return tuple(levels[stride] for stride in self.strides)
