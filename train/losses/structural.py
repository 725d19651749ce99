"""CFANet's losses on density maps: structure, and people seen in the background.

CFANet (WACV 2021, arXiv 2011.03721): BSL = SL + BL.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.train.losses.reduce import at_least_float32

WINDOW = 11
K1, K2 = 0.01, 0.03
FLOOR = 0.01  # people


def ssim(x: Tensor, y: Tensor, *, window: int = WINDOW, squared: bool = False) -> Tensor:
    """Return the structural similarity of two maps (Wang et al. 2004), mean over an image's cells.

    Means, variances and the covariance come from a uniform window: three box filters a map, where
    a Gaussian one costs more and ranks alike. At the border they are over what lies inside.

    Args:
        x: (B, 1, h, w).
        y: (B, 1, h, w).
        window: side of the window in cells, odd.
        squared: constants C1 = 0.01^2 and C2 = 0.03^2, as Wang et al. define them for values up to
            1; False: 0.01 and 0.03 themselves, as CFANet states them. See
            :func:`background_aware_structural_loss`.

    Returns:
        (B,) in [-1, 1], 1 for equal maps.
    """
    x, y = at_least_float32(x), at_least_float32(y)
    c1, c2 = (K1**2, K2**2) if squared else (K1, K2)

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, 1, window // 2, count_include_pad=False)

    mean_x, mean_y = mean(x), mean(y)
    variance_x = (mean(x * x) - mean_x * mean_x).clamp_min(0.0)
    variance_y = (mean(y * y) - mean_y * mean_y).clamp_min(0.0)
    covariance = mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    spread = (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    return (likeness / spread).mean((1, 2, 3))


def structural_loss(
    density: Tensor, target: Tensor, *, levels: int = 3, squared: bool = False
) -> Tensor:
    """Return SL: mean over ``levels`` of 1 - SSIM of the maps average-pooled to 1 / 2^(j - 1).

    The window keeps its cells at every size, so that coarser levels compare wider structure.

    Args:
        density: (B, 1, h, w).
        target: (B, 1, h, w).
        levels: number of sizes, K = 3 in the paper.
        squared: constants of :func:`ssim`.

    Returns:
        A scalar in [0, 2].
    """
    density, target = at_least_float32(density), at_least_float32(target)
    losses = []
    for level in range(levels):
        if level:
            density = F.avg_pool2d(density, 2, ceil_mode=True, count_include_pad=False)
            target = F.avg_pool2d(target, 2, ceil_mode=True, count_include_pad=False)
        losses.append(1.0 - ssim(density, target, squared=squared).mean())
    return torch.stack(losses).mean()


def background_loss(
    density: Tensor, attention: Tensor, *, person: float = 1.0, floor: float = FLOOR
) -> Tensor:
    """Return BL: the share of the estimated count that lies in the background, images' mean.

    The gradient of a share goes as 1 / total, so that a total below ``floor`` people is taken as
    that many. Below the floor BL empties the background and holds nothing up: it has to be far
    below what a crop holds, else the empty map is a trap (at one person MCNN counted nobody on
    ShanghaiTech A after 900 steps). The first gradients are large for it, and want to be clipped
    (``clip_norm``): Adam would remember them for thousands of steps. ``floor=0`` is the share as
    printed, whose gradient overflows where next to nothing is counted. An image that is all
    background has the share 1 and no gradient above the floor; SL is what empties it.

    Args:
        density: (B, 1, h, w); what is below 0 counts as nothing.
        attention: (B, 1, h, w), 1 in the crowd, 0 in the background.
        person: amount that a head adds to the sum of the density.
        floor: least total that the share is taken of, in people.

    Returns:
        A scalar in [0, 1]; of a density that is 0 everywhere 0.
    """
    people = at_least_float32(density).clamp_min(0.0)
    outside = (people * (1.0 - attention.to(people))).sum((1, 2, 3))
    least = max(floor * person, torch.finfo(people.dtype).tiny)
    return (outside / people.sum((1, 2, 3)).clamp_min(least)).mean()


def background_aware_structural_loss(
    density: Tensor,
    target: Tensor,
    attention: Tensor,
    *,
    person: float = 1.0,
    floor: float = FLOOR,
    squared: bool = False,
) -> Tensor:
    """Return BSL = SL + BL, for densities of 50 times the people per pixel.

    SSIM's constants are absolute: of a density in people per pixel they would see nothing but
    themselves, and an empty map would be the best one.

    The paper gives C1 = 0.01 and C2 = 0.03. SSIM's own definition squares these numbers, and so
    does the loss that the same author published with a later network (MARUNet). Neither is good
    everywhere. Squared, the gradient all but vanishes near the empty map, where the Gaussian start
    is: CFANet, fitted to one crop of 7 heads, counted 0.1 after 160 steps, and unsquared 5.3. So
    the paper's text is the default. But it hides sparse people: over crops of half the sides of 40
    images of ShanghaiTech B, with CFANet's kernels, an empty map costs 0.020 and the true map
    itself 0.027 (SL 0, BL of the tails below the threshold of the crowd); squared, the empty map
    costs 0.168. On part A, whose densities are higher, it is 0.233 and 0.737.

    Args:
        density: (B, 1, h, w).
        target: (B, 1, h, w).
        attention: (B, 1, h, w), 1 in the crowd, 0 in the background.
        person: amount that a head adds to the sum of the density.
        floor: see :func:`background_loss`.
        squared: constants of :func:`ssim`.

    Returns:
        A scalar in [0, 3].
    """
    structure = structural_loss(density, target, squared=squared)
    return structure + background_loss(density, attention, person=person, floor=floor)


def shifting_weight(progress: float, first: float, last: float, until: float) -> float:
    """Return the weight of an attention map's loss: high at first, shifting to the density map.

    CFANet's lambda and mu; the paper gives no formula. It falls linearly, so that the attention
    maps are learned first and never forgotten.

    Args:
        progress: share of the training that is done, in [0, 1].
        first: weight at the start.
        last: weight from ``until`` on.
        until: share of the training after which the weight stays; 0: it is ``last`` throughout.
    """
    done = min(progress / until, 1.0) if until else 1.0
    return first + (last - first) * done
