"""Two-stream fusion on a grid of the image (RAZ-Net, Liu, Weng and Mu, CVPR 2019).

:mod:`edgecount.train.postprocess.fusion` does the same on squares of fixed size, as the runtime
does; this is the paper's grid of 4 x 4 cells, whatever the image's size, for networks that are
evaluated in its way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Array
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
    grid: int = 4,
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
        grid: cells on each side.

    Raises:
        ConfigError: ``high`` is not above ``low``.
    """
    if not low < high:
        raise ConfigError(f"fusion: expected low below high, got {low} and {high}")
    observation = observe_grid(density, points, size, stride=stride, grid=grid)
    return blend(observation, _ALL, low, high)


def observe_grid(
    density: Array,
    points: Array,
    size: tuple[int, int],
    *,
    stride: int = 8,
    grid: int = 4,
) -> Observation:
    """Sum an image's density and points over the grid; the true count is left at 0.

    Args:
        density: (h, w) people per cell.
        points: (N, 2) or (N, 3) x, y in px of the image.
        size: the image's width and height, px.
        stride: px per cell of the density.
        grid: cells on each side.
    """
    width, height = size
    rows = _shares(density.shape[0], stride, height, grid)
    columns = _shares(density.shape[1], stride, width, grid)
    sums = rows @ density.astype(np.float64) @ columns.T
    area = (width / grid) * (height / grid)
    place = np.clip(points[:, :2] * grid / np.array(size), 0, grid - 1).astype(np.int64)
    counts = np.zeros((grid, grid))
    np.add.at(counts, (place[:, 1], place[:, 0]), 1.0)
    return Observation(sums, sums * (CELL**2 / area), {_ALL: counts}, {}, people=0)


def _shares(cells: int, stride: int, side: int, grid: int) -> NDArray[np.float64]:
    """Return the share of each density cell that lies in each part of the image, (grid, cells).

    A cell that reaches beyond the image counts with its part inside, so that nobody is lost.
    """
    start = np.arange(cells) * float(stride)
    end = np.minimum(start + stride, side)
    edges = np.linspace(0, side, grid + 1)[:, None]
    common = np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])
    shares: NDArray[np.float64] = common.clip(min=0) / (end - start)
    return shares
