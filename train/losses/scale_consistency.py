"""Scale Consistency: each scale map against the target seen at its scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.losses.cells import Per, density_mse
from edgecount.train.losses.reduce import at_least_float32


class ScaleConsistency(nn.Module):
    """The sum over scales of HSRNet's Eq. 9, with learned weights.

    The target of scale i is average-pooled by 2^i and brought back by bilinear interpolation, and
    compared with map i. The paper learns the weights and does not say how: a free weight falls to
    minus infinity, one kept positive to 0. Here a weight is ``exp(-s)`` and the term
    ``exp(-s) (L + floor) + s`` (Kendall, Gal and Cipolla, CVPR 2018, where no floor is), which
    settles at the weight ``1 / (L + floor)``, if the weights' own rate lets them get there
    (``objective_rate`` of a config: at the network's rate of 1e-5 Adam changes a weight by a
    hundred-thousandth of itself a step, 2.6-fold in a whole run). The floor bounds the weight and
    the loss where a map is right, as on crops without people.

    Args:
        levels: number of scale maps, 5 in HSRNet.
        floor: least loss of a map that its weight follows, in units of :func:`density_mse` per
            image; per pixel it is divided by the map's cells, as the loss is.
        per: what N of Eq. 8 is, see :func:`density_mse`.
    """

    def __init__(self, levels: int = 5, *, floor: float = 0.01, per: Per = "images") -> None:
        super().__init__()
        self.floor = floor
        self.per = per
        self.log_variances = nn.Parameter(torch.zeros(levels))

    def forward(self, predictions: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return a scalar from ``levels`` maps (B, 1, h, w) and the target (B, 1, h, w).

        Raises:
            ConfigError: another number of maps than weights.
        """
        levels = len(self.log_variances)
        if len(predictions) != levels:
            raise ConfigError(f"scale maps: expected {levels}, got {len(predictions)}")
        target = at_least_float32(target)
        losses = [
            density_mse(prediction, seen_at(target, 2**level), per=self.per)
            for level, prediction in enumerate(predictions)
        ]
        s = self.log_variances.to(target)
        floor = self.floor if self.per == "images" else self.floor / target[0].numel()
        return (torch.exp(-s) * (torch.stack(losses) + floor) + s).sum()


def seen_at(density: Tensor, scale: int) -> Tensor:
    """Average a density over windows of ``scale`` cells, and return it at its own size again.

    Windows that the right and lower borders cut are averaged over what lies inside.

    Args:
        density: (B, 1, h, w).
        scale: side of the windows; 1 changes nothing.

    Returns:
        (B, 1, h, w).
    """
    if scale == 1:
        return density
    pooled = F.avg_pool2d(density, scale, ceil_mode=True, count_include_pad=False)
    # by the factor and not to the size: cut windows would shift all the others
    enlarged = F.interpolate(pooled, scale_factor=scale, mode="bilinear", align_corners=False)
    height, width = density.shape[-2:]
    return enlarged[..., :height, :width]
