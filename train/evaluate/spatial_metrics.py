"""GAME: whether people are counted where they are, on grids of 1, 4, 16 and 64 regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 3  # the finest grid has 2 ** LEVELS regions a side

Regions = NDArray[np.float64]


def game(estimated: Regions, true: Regions) -> list[float]:
    """Return the grid average mean error of one image (HSRNet Eq. 12), from GAME(0) on.

    GAME(L) is the sum of ``|estimated - true|`` over 4 ** L regions of equal area. Coarser regions
    are sums of finer ones, so that it never falls with L, and GAME(0) is the error of the count.

    Args:
        estimated: (2 ** L, 2 ** L) people in each region of the finest grid.
        true: the true people by region, likewise.

    Returns:
        L + 1 values.
    """
    error = estimated - true
    values = [float(np.abs(error).sum())]
    while len(error) > 1:
        side = len(error) // 2
        error = error.reshape(side, 2, side, 2).sum((1, 3))
        values.append(float(np.abs(error).sum()))
    return values[::-1]


def points_by_region(
    points: NDArray[np.floating], width: int, height: int, levels: int = LEVELS
) -> Regions:
    """Return the number of the (N, 2) points in each region, (2 ** levels, 2 ** levels).

    A point on a border between regions belongs to the right or lower one; on the image's far edge,
    to the last.
    """
    side = 2**levels
    column, row = (
        np.clip((points[:, axis].astype(np.float64) * side / length).astype(int), 0, side - 1)
        for axis, length in enumerate((width, height))
    )
    counts = np.zeros((side, side))
    np.add.at(counts, (row, column), 1.0)
    return counts


def density_by_region(
    density: NDArray[np.floating],
    stride_xy: tuple[float, float],
    width: int,
    height: int,
    levels: int = LEVELS,
) -> Regions:
    """Sum a density map in each region of an image; all regions together have all of it.

    A cell that straddles a border is split by area. A cell that reaches past the image stands for
    what of it lies inside; one that lies outside counts to the last region.

    Args:
        density: (h, w) people per cell.
        stride_xy: width and height of a cell in px of the image; the grid starts at (0, 0).
        width: width of the image, px.
        height: height of the image, px.
        levels: 2 ** levels regions a side.

    Returns:
        (2 ** levels, 2 ** levels).
    """
    across = _shares(density.shape[1], stride_xy[0], width, 2**levels)
    down = _shares(density.shape[0], stride_xy[1], height, 2**levels)
    regions: Regions = down @ density.astype(np.float64) @ across.T
    return regions


def _shares(cells: int, stride: float, length: int, regions: int) -> Regions:
    """Return the share of each cell in each region along an axis.

    Returns:
        (regions, cells), whose columns sum to 1.
    """
    # The last border is the image's end exactly, where a quotient may round below it.
    borders = np.linspace(0.0, length, regions + 1)
    edges = np.minimum(np.arange(cells + 1) * stride, length)
    left = np.maximum(borders[:-1, None], edges[None, :-1])
    right = np.minimum(borders[1:, None], edges[None, 1:])
    extent = np.diff(edges)
    shares: Regions = np.maximum(right - left, 0.0) / np.where(extent > 0, extent, 1.0)
    shares[-1, extent <= 0] = 1.0
    return shares
