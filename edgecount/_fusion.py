"""RAZ-Net's two-stream fusion in NumPy: which cells are blended, and by which weights.

The kernels of `edgecount._ext` do the same in C++; this is for counts that they have no part in,
such as those of regions asked for later and of points found by zooming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import FusionSpec

    Array = NDArray[np.float64]


def fusion_cell(fusion: FusionSpec, shape: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the rows and columns of a density map that are blended together.

    On a grid of n x n they are the map's rows, and columns, divided by n and rounded up: sides
    that n does not divide leave smaller cells at the right and at the bottom, and sides of few
    cells fewer than n of them.

    Args:
        fusion: the model's.
        shape: rows and columns of the density that the frame covers.
        stride: network pixels per cell of the density.
    """
    if fusion.grid:
        height, width = (max(-(-side // fusion.grid), 1) for side in shape)
        return height, width
    return fusion.cell // stride, fusion.cell // stride


def fusion_ends(fusion: FusionSpec, cell: tuple[int, int], stride: int) -> tuple[float, float]:
    """Return the people per whole fusion cell from which its density counts a little, and alone.

    Args:
        fusion: the model's, whose ends are people per square of ``fusion.cell`` network pixels.
        cell: rows and columns of a fusion cell; see `fusion_cell`.
        stride: network pixels per cell of the density.
    """
    squares = cell[0] * cell[1] * stride**2 / fusion.cell**2
    return fusion.low * squares, fusion.high * squares


def smoothstep(people: Array, low: float, high: float) -> Array:
    """Return the weight of the density for the people of fusion cells, in [0, 1].

    It is 0 up to `low` and 1 from `high` on; a step just above `low` if `high` is not above it.
    """
    if high <= low:
        return (people > low).astype(np.float64)
    share = np.clip((people - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def cell_sums(values: NDArray[np.floating], cell: tuple[int, int]) -> Array:
    """Return the sums of a map over cells of (rows, columns); those at the edges may be cut."""
    down, across = (np.arange(0, side, step) for side, step in zip(values.shape, cell, strict=True))
    rows = np.add.reduceat(values, down, 0, np.float64)
    sums: Array = np.add.reduceat(rows, across, 1)
    return sums


def density_weights(people: NDArray[np.floating], fusion: FusionSpec, stride: int) -> Array:
    """Return the weight of the density against the points in each of its cells, (h, w).

    Args:
        people: (h, w) people per cell of the density.
        fusion: the model's.
        stride: network pixels per cell.
    """
    height, width = people.shape
    cell = fusion_cell(fusion, (height, width), stride)
    # Cells at the right and at the bottom may be cut.
    high = np.diff(np.arange(0, height, cell[0]), append=height)
    wide = np.diff(np.arange(0, width, cell[1]), append=width)
    crowding = cell_sums(people, cell) * (cell[0] * cell[1] / np.outer(high, wide))
    weights = smoothstep(crowding, *fusion_ends(fusion, cell, stride))
    return weights.repeat(high, axis=0).repeat(wide, axis=1)


def region_sums(
    people: NDArray[np.floating],
    weights: Array,
    cells: NDArray[np.int64],
    shares: NDArray[np.floating],
) -> tuple[Array, Array, Array]:
    """Return the fused counts, at least 0, the people by density and the points of R regions.

    Args:
        people: (h, w) people per cell.
        weights: (h, w) weight of the density; see `density_weights`.
        cells: (N,) index of each point's cell, in the flattened map.
        shares: (R, h, w) share of each cell that lies in the region.
    """
    flat = shares.reshape(len(shares), people.size).astype(np.float64)
    table = np.stack([people.ravel().astype(np.float64), (weights * people).ravel()], axis=1)
    density, counts = (flat @ table).T
    at = flat[:, cells]
    fused: Array = np.maximum(counts + at @ (1 - weights.ravel()[cells]), 0.0)
    return fused, density, at.sum(1)
