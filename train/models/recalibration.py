"""HSRNet's Scale Recalibration Module: score maps sliced and stacked by scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgecount.train.models.layers import gaussian_start

Start = Literal["mean", "gaussian"]


class ScaleRecalibration(nn.Module):
    """From features of several stages to one prediction a scale, and their fusion (HSRNet 3.2).

    Stage i of n (from 0, shallow to deep) gives i + 2 score maps by a 1x1 convolution, brought to
    the target's size by a transposed convolution (Eq. 6). Score map j of every stage that has one
    is stacked into the set of scale j: n + 1 sets, of n, n, n - 1, ..., 1 maps. The paper leaves
    open how a set becomes one prediction: a 1x1 convolution of each set does here. A last 1x1
    convolution fuses the predictions.

    The transposed convolutions work on each score map alone and start as bilinear interpolation,
    so that scales are not mixed before they are sliced apart; the other layers start so that a
    prediction is the mean of its set and the fusion the mean of the predictions, or from a
    Gaussian.

    Args:
        channels: channels of each stage's features.
        strides: stride of each stage, in px: a power of 2 times ``target_stride``.
        target_stride: stride of the predictions, in px.
        start: of the layers after the transposed convolutions: ``mean``, or a ``gaussian`` of 0.01
            (HSRNet, section 4.1).
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        target_stride: int = 1,
        start: Start = "mean",
    ) -> None:
        super().__init__()
        self.scores = nn.ModuleList()
        self.enlarge = nn.ModuleList()
        for index, (width, stride) in enumerate(zip(channels, strides, strict=True)):
            number = index + 2
            score = nn.Conv2d(width, number, 1)
            gaussian_start(score)
            self.scores.append(score)
            self.enlarge.append(bilinear_upsampling(number, stride // target_stride))
        stages = len(self.scores)
        sizes = [sum(j < index + 2 for index in range(stages)) for j in range(stages + 1)]
        self.predict = nn.ModuleList(_mean_convolution(size) for size in sizes)
        self.fuse = _mean_convolution(stages + 1)
        if start == "gaussian":
            gaussian_start(self.predict)
            gaussian_start(self.fuse)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Map the stages' features to the fused map (B, 1, h, w) and the scales' predictions."""
        maps = [
            enlarge(score(stage))
            for enlarge, score, stage in zip(self.enlarge, self.scores, features, strict=True)
        ]
        predictions = []
        for j, predict in enumerate(self.predict):
            pieces = [m[:, j : j + 1] for index, m in enumerate(maps) if j < index + 2]
            predictions.append(predict(torch.cat(pieces, dim=1)))
        return self.fuse(torch.cat(predictions, dim=1)), tuple(predictions)


def bilinear_upsampling(channels: int, factor: int) -> nn.Module:
    """Return a transposed convolution by channel, which starts as bilinear interpolation."""
    if factor == 1:
        return nn.Identity()
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False
    )
    ramp = 1.0 - (torch.arange(2 * factor) + 0.5 - factor).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(torch.outer(ramp, ramp).expand_as(layer.weight))
    return layer


def _mean_convolution(inputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, 1, 1)
    nn.init.constant_(layer.weight, 1.0 / inputs)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
