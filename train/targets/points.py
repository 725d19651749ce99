"""Points on a grid, and how large heads are where only points are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def cells_of(
    points: Array, stride: int, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return columns and rows of the (N, 2) points' cells; the image's far edge belongs to them."""
    columns = np.clip((points[:, 0] // stride).astype(np.int64), 0, width // stride - 1)
    rows = np.clip((points[:, 1] // stride).astype(np.int64), 0, height // stride - 1)
    return columns, rows


def bin_points(points: Array, stride: int, height: int, width: int) -> Array:
    """Return the number of points in each cell, (H / stride, W / stride)."""
    counts = np.zeros((height // stride, width // stride), np.float32)
    columns, rows = cells_of(points, stride, height, width)
    np.add.at(counts, (rows, columns), 1.0)
    return counts


def sizes_from_neighbours(points: Array, *, largest: float = 40.0) -> Array:
    """Guess head diameters from how close people stand, (N,) px.

    The geometry-adaptive rule of MCNN (Zhang et al. 2016): 0.3 times the mean distance to the 3
    nearest neighbours, doubled from a spread to a diameter. A lone head says nothing of its
    size, so guesses end at ``largest``.
    """
    sizes: Array = np.clip(0.6 * neighbour_distances(points, 3), 6.0, largest).astype(np.float32)
    return sizes


def neighbour_distances(points: Array, neighbours: int) -> NDArray[np.float64]:
    """Return the mean distance from each of (N, 2) points to its nearest others, (N,) px.

    With fewer others than ``neighbours`` the mean is over those there are; a lone point is
    infinitely far from any.
    """
    from scipy.spatial import KDTree

    if len(points) < 2:
        return np.full(len(points), np.inf)
    number = min(neighbours, len(points) - 1)
    distances, _ = KDTree(points).query(points, k=number + 1)
    # the first is the point itself, or a twin at the same place
    means: NDArray[np.float64] = distances[:, 1:].mean(axis=1)
    return means
