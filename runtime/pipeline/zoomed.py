"""Counts of a frame whose points come from zooming."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._fusion import density_weights, region_sums
from edgecount.result import RegionCount
from edgecount.runtime.zoom.proposals import Prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgecount.runtime.pipeline.postprocess import Counts, MapGrid, RegionMasks


def read_maps(maps: Mapping[str, NDArray[Any]], grid: MapGrid) -> Prediction:
    """Return an engine's maps (1, C, h, w), by name, as those of an image to propose regions of.

    Args:
        maps: the checked maps of the padded plane.
        grid: the cells that the image covers; its model gives a heatmap.
    """
    outputs = {output.role: output for output in grid.manifest.outputs}
    cut = {role: maps[output.name][grid.crop(output)][0] for role, output in outputs.items()}
    height, width = grid.geometry.resized
    stride = outputs["heatmap"].stride
    seen = Prediction((width, height), cut["heatmap"][0], stride, cut.get("offset"))
    if grid.density is None:
        return seen
    people = np.divide(cut["density"][0], grid.density.unit, dtype=np.float32)
    return dataclasses.replace(seen, density=people, density_stride=grid.density.stride)


def count_points(
    counts: Counts,
    points: NDArray[np.float32],
    grid: MapGrid,
    masks: RegionMasks,
    *,
    capacity: int,
) -> Counts:
    """Return the counts of a frame with other points, blended with its density as the kernels do.

    A point counts for the cell of the density that it lies in.

    Args:
        counts: those of the first pass.
        points: (N, 3) x, y in source pixels, score.
        grid: the cells that the frame covers.
        masks: the regions.
        capacity: most points to return; 0: all.
    """
    density, fusion = grid.density, grid.manifest.postprocess.fusion
    if density is None:
        people, weights = np.zeros(grid.shape, np.float32), np.zeros(grid.shape)
    else:
        people = counts.density
        weights = (
            np.ones(grid.shape)
            if fusion is None
            else density_weights(people, fusion, density.stride)
        )
    cells = _cells(points, grid)
    count, _, _ = region_sums(people, weights, cells, np.ones((1, *grid.shape), np.float32))
    shares = grid.masks(masks)
    regions = {} if shares is None else _regions(counts, people, weights, cells, shares)
    kept = points[:capacity] if capacity else points
    return dataclasses.replace(
        counts,
        count=float(count[0]),
        peak_count=len(points),
        points=kept,
        regions=regions,
        overflow=len(kept) < len(points),
        interval=None,
    )


def _cells(points: NDArray[np.float32], grid: MapGrid) -> NDArray[np.int64]:
    """Return the index of each point's cell, in the flattened grid of the regions' masks."""
    rows, columns = grid.shape
    place = (points[:, :2] / np.array(grid.cell)).astype(np.int64)
    column, row = np.clip(place, 0, (columns - 1, rows - 1)).T
    cells: NDArray[np.int64] = row * columns + column
    return cells


def _regions(
    counts: Counts,
    people: NDArray[np.float32],
    weights: NDArray[np.float64],
    cells: NDArray[np.int64],
    shares: NDArray[np.float32],
) -> dict[str, RegionCount]:
    fused, _, peaks = region_sums(people, weights, cells, shares)
    return {
        name: dataclasses.replace(region, count=float(fused[i]), peak_count=float(peaks[i]))
        for i, (name, region) in enumerate(counts.regions.items())
    }
