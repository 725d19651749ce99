"""Two-stream fusion on a grid of the image (RAZ-Net, Liu, Weng and Mu, CVPR 2019).

:mod:`edgecount.train.postprocess.fusion` does the same on squares of fixed size, as the runtime
does; this is the paper's grid of 4 x 4 cells, whatever the image's size, for networks that are
evaluated in its way.
"""

from __future__ import annotations

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Array
from edgecount.train.evaluate.spatial_metrics import density_by_region, points_by_region
from edgecount.train.postprocess.fusion import CELL, Observation, blend

_ALL = 0.0  # the key of the points: they were chosen by the caller


def fuse_counts(
    density: Array,
    points: Array,
    size: tuple[int, int],
    *,
    low: float,
    high: float,
    stride: int = 8,
    levels: int = 2,
) -> float:
    """Return the people in an image: in each cell of the grid a blend of both counts, added up.

    The denser the cell, the more its density weighs. The paper's weighting is not in its text; here
    it is a smoothstep of the people per 64 x 64 px by the density, from 0 at ``low`` to 1 at
    ``high``. A run fits both to its held-out images.

    Args:
        density: (h, w) people per cell.
        points: (N, 2) or (N, 3) x, y in px of the image.
        size: the image's width and height, px.
        low: local density up to which the points alone count.
        high: local density from which the density alone counts.
        stride: px per cell of the density.
        levels: the grid has ``2 ** levels`` cells on each side: 4 in the paper.

    Raises:
        ConfigError: ``high`` is not above ``low``.
    """
    if not low < high:
        raise ConfigError(f"fusion: expected low below high, got {low} and {high}")
    observation = observe_grid(density, points, size, stride=stride, levels=levels)
    return blend(observation, _ALL, low, high)


def observe_grid(
    density: Array, points: Array, size: tuple[int, int], *, stride: int = 8, levels: int = 2
) -> Observation:
    """Sum an image's density and points over a grid; the arguments are those of `fuse_counts`.

    The true count is left at 0.
    """
    width, height = size
    sums = density_by_region(density, (stride, stride), width, height, levels)
    counts = points_by_region(points, width, height, levels)
    area = width * height / 4**levels
    return Observation(sums, sums * (CELL**2 / area), {_ALL: counts}, {}, people=0)
