"""CFANet's losses on density maps: structure, and people seen in the background.

CFANet (WACV 2021, arXiv 2011.03721): BSL = SL + BL.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32

WINDOW = 11
C1, C2 = 0.01, 0.03  # as CFANet states them, not squared


def ssim(x: Tensor, y: Tensor, *, window: int = WINDOW) -> Tensor:
    """Return the structural similarity of two maps (Wang et al. 2004), mean over an image's cells.

    Means, variances and the covariance come from a uniform window: three box filters a map, where
    a Gaussian one costs more and ranks alike. At the border they are over what lies inside.

    Args:
        x: (B, 1, h, w).
        y: (B, 1, h, w).
        window: side of the window in cells, odd.

    Returns:
        (B,) in [-1, 1], 1 for equal maps.
    """
    x, y = at_least_float32(x), at_least_float32(y)

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, 1, window // 2, count_include_pad=False)

    mean_x, mean_y = mean(x), mean(y)
    variance_x = (mean(x * x) - mean_x * mean_x).clamp_min(0.0)
    variance_y = (mean(y * y) - mean_y * mean_y).clamp_min(0.0)
    covariance = mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    spread = (mean_x * mean_x + mean_y * mean_y + C1) * (variance_x + variance_y + C2)
    return (likeness / spread).mean((1, 2, 3))


def structural_loss(density: Tensor, target: Tensor, *, levels: int = 3) -> Tensor:
    """Return SL: mean over ``levels`` of 1 - SSIM of the maps average-pooled to 1 / 2^(j - 1).

    The window keeps its cells at every size, so that coarser levels compare wider structure.

    Args:
        density: (B, 1, h, w).
        target: (B, 1, h, w).
        levels: number of sizes, K = 3 in the paper.

    Returns:
        A scalar in [0, 2].
    """
    density, target = at_least_float32(density), at_least_float32(target)
    losses = []
    for level in range(levels):
        if level:
            density = F.avg_pool2d(density, 2, ceil_mode=True, count_include_pad=False)
            target = F.avg_pool2d(target, 2, ceil_mode=True, count_include_pad=False)
        losses.append(1.0 - ssim(density, target).mean())
    return torch.stack(losses).mean()


def background_loss(density: Tensor, attention: Tensor, *, person: float = 1.0) -> Tensor:
    """Return BL: the share of the estimated count that lies in the background, images' mean.

    The gradient of a share goes as 1 / total, so that a total below one person is taken as one: a
    network whose output is still near 0 would be thrown off. An image that is all background has
    the share 1 and no gradient above that total; SL is what empties it.

    Args:
        density: (B, 1, h, w); what is below 0 counts as nothing.
        attention: (B, 1, h, w), 1 in the crowd, 0 in the background.
        person: amount that a head adds to the sum of the density.

    Returns:
        A scalar in [0, 1].
    """
    people = at_least_float32(density).clamp_min(0.0)
    outside = (people * (1.0 - attention.to(people))).sum((1, 2, 3))
    return (outside / people.sum((1, 2, 3)).clamp_min(person)).mean()


def background_aware_structural_loss(
    density: Tensor, target: Tensor, attention: Tensor, *, person: float = 1.0
) -> Tensor:
    """Return BSL = SL + BL, for densities of 50 times the people per pixel.

    SSIM's constants are absolute: of a density in people per pixel they would see nothing but
    themselves, and an empty map would be the best one. The arguments are those of
    :func:`structural_loss` and :func:`background_loss`.
    """
    return structural_loss(density, target) + background_loss(density, attention, person=person)


def dynamic_weights(progress: float) -> tuple[float, float]:
    """Return the weights of CAM's and FAM's losses: high at first, shifting to the density map.

    The paper gives no formula. Both fall linearly from 1 to 0.1, reached at half of the training,
    so that the attention maps are learned first and never forgotten.

    Args:
        progress: share of the training that is done, in [0, 1].
    """
    weight = max(0.1, 1.0 - 1.8 * progress)
    return weight, weight
