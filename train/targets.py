"""Targets drawn from head points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Targets:
    """What one crop teaches. Cells of the density are 8 px, of the heatmap 4 px.

    Attributes:
        counts: (H / 8, W / 8) heads in each cell; sums to the number of points.
        heatmap: (H / 4, W / 4) maximum of one Gaussian a head, exactly 1 at the head's cell.
        offset: (2, H / 4, W / 4) dx, dy from the cell's top-left corner, in cells; 0 elsewhere.
        heads: (H / 4, W / 4) 1 at cells with a head.
    """

    counts: Array
    heatmap: Array
    offset: Array
    heads: Array


def make_targets(points: Array, sizes: Array, height: int, width: int) -> Targets:
    """Targets of an image of ``height`` x ``width`` px (multiples of 8).

    Args:
        points: (N, 2) x, y in continuous pixels, inside the image.
        sizes: (N,) head diameters in px.
        height: of the image.
        width: of the image.
    """
    heatmap = np.zeros((height // 4, width // 4), np.float32)
    offset = np.zeros((2, height // 4, width // 4), np.float32)
    heads = np.zeros_like(heatmap)
    columns, rows = cells_of(points, 4, height, width)
    for column, row, size in zip(columns, rows, sizes, strict=True):
        _draw_gaussian(heatmap, int(column), int(row), heatmap_sigma(float(size)) / 4.0)
    heads[rows, columns] = 1.0
    heatmap[rows, columns] = 1.0
    offset[:, rows, columns] = (points.T / 4.0) - np.stack([columns, rows])
    return Targets(bin_points(points, 8, height, width), heatmap, offset, heads)


def heatmap_sigma(size: float) -> float:
    """Spread of a head's Gaussian in px: a fifth of its diameter, between 2.4 and 10 px.

    Below 2.4 px (0.6 cells of 4 px) the Gaussian would be a single cell and a peak one cell off
    would be punished like one in the sky.
    """
    return min(max(size / 5.0, 2.4), 10.0)


def cells_of(
    points: Array, stride: int, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the cells that (N, 2) points lie in; the image's far edge belongs in."""
    columns = np.clip((points[:, 0] // stride).astype(np.int64), 0, width // stride - 1)
    rows = np.clip((points[:, 1] // stride).astype(np.int64), 0, height // stride - 1)
    return columns, rows


def bin_points(points: Array, stride: int, height: int, width: int) -> Array:
    """(H / stride, W / stride) number of points in each cell."""
    counts = np.zeros((height // stride, width // stride), np.float32)
    columns, rows = cells_of(points, stride, height, width)
    np.add.at(counts, (rows, columns), 1.0)
    return counts


def _draw_gaussian(heatmap: Array, column: int, row: int, sigma: float) -> None:
    radius = int(np.ceil(3.0 * sigma))
    top, left = max(row - radius, 0), max(column - radius, 0)
    window = heatmap[top : row + radius + 1, left : column + radius + 1]
    y = np.arange(top, top + window.shape[0], dtype=np.float32) - row
    x = np.arange(left, left + window.shape[1], dtype=np.float32) - column
    np.maximum(
        window, np.exp(-(y[:, None] ** 2 + x[None] ** 2) / np.float32(2.0 * sigma**2)), out=window
    )


def sizes_from_neighbours(points: Array, *, largest: float = 40.0) -> Array:
    """Head diameters guessed from how close people stand, (N,) px.

    The geometry-adaptive rule of MCNN (Zhang et al. 2016): 0.3 times the mean distance to the 3
    nearest neighbours, doubled from a spread to a diameter. A lone head says nothing of its
    size, so guesses end at ``largest``.
    """
    from scipy.spatial import KDTree

    if len(points) < 2:
        return np.full(len(points), largest, np.float32)
    neighbours = min(3, len(points) - 1)
    distances, _ = KDTree(points).query(points, k=neighbours + 1)
    sizes: Array = np.clip(0.6 * distances[:, 1:].mean(axis=1), 6.0, largest).astype(np.float32)
    return sizes
