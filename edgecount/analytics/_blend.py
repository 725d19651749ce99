"""Density and head points blended as the counter blends them, from its results."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgecount._fusion import density_weights, region_sums
from edgecount.errors import InputError
from edgecount.manifest import Manifest
from edgecount.regions import Region, rasterise
from edgecount.result import CountResult, RegionCount

Array = NDArray[np.float64]


class Blend:
    """Counts of parts of a frame, from its result alone.

    The weight of the density in each block of cells is the counter's own (`FusionSpec`), and so is
    a region's share of a cell. Of head points the result tells where they are, not from which cell
    they come: one at the very border of two cells may count for the other one.

    Args:
        manifest: the model's; None: for models that give a density or points and not both.
    """

    def __init__(self, manifest: Manifest | None) -> None:
        self._manifest = manifest

    def weights(self, result: CountResult) -> Array:
        """Return the weight of the density against the points in each of its cells, (h, w).

        Raises:
            InputError: both are there, and no manifest tells how they are blended.
        """
        if result.peak_count is None:
            return np.ones(result.density.shape)
        if self._manifest is None:
            raise unblended(result)
        fusion = self._manifest.postprocess.fusion
        density = self._manifest.output("density")
        if fusion is None or density is None:
            return np.ones(result.density.shape)
        return density_weights(result.density, fusion, density.stride)

    def counts(
        self, result: CountResult, regions: Sequence[Region], masks: NDArray[np.float32] | None
    ) -> list[RegionCount]:
        """Return the counts of regions.

        Args:
            result: the frame's result.
            regions: R regions in pixels.
            masks: (R, h, w) their share of each cell of the density; None without a density.

        Raises:
            InputError: the points are cut off, or see `weights`.
        """
        check_whole(result)
        points = result.points[:, :2].astype(np.float64)
        heads = result.peak_count is not None
        if masks is None:
            inside = [float(contains(region, points, result.size).sum()) for region in regions]
            return [
                RegionCount(region.name, found, None, found)
                for region, found in zip(regions, inside, strict=True)
            ]
        cells = cells_of(points, result)
        counts, density, peaks = region_sums(result.density, self.weights(result), cells, masks)
        return [
            RegionCount(
                region.name, float(counts[i]), float(density[i]), float(peaks[i]) if heads else None
            )
            for i, region in enumerate(regions)
        ]


class Masks:
    """Regions and their share of the density's cells, for the frame sizes that come.

    Args:
        regions: the regions.
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = tuple(regions)
        self._made = functools.lru_cache(4)(self._make)

    def of(self, result: CountResult) -> tuple[tuple[Region, ...], NDArray[np.float32] | None]:
        """Return the regions in pixels, and (R, h, w) shares; None without a density."""
        return self._made(result.size, result.density.shape, result.density_stride_xy)

    def _make(
        self, size: tuple[int, int], grid: tuple[int, int], cell: tuple[float, float]
    ) -> tuple[tuple[Region, ...], NDArray[np.float32] | None]:
        regions = tuple(region.in_size(size) for region in self.regions)
        if 0 in grid:
            return regions, None
        return regions, rasterise(self.regions, size=size, grid=grid, cell=cell)


def cells_of(points: Array, result: CountResult) -> NDArray[np.int64]:
    """Return the index of the density cell, in the flattened map, of (N, 2) points in pixels."""
    rows, columns = result.density.shape
    place = (points / np.array(result.density_stride_xy)).astype(np.int64)
    column, row = np.clip(place, 0, (columns - 1, rows - 1)).T
    cells: NDArray[np.int64] = row * columns + column
    return cells


def contains(region: Region, points: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return whether points are inside a region.

    Args:
        region: the region, in pixels.
        points: (N, 2) in pixels; those of heads that the frame's edge cuts lie on it, and are
            inside a region that reaches so far.
        size: (width, height) of the frame in pixels.
    """
    points = np.minimum(points, np.nextafter(np.array(size, np.float64), 0.0))
    inside = _winds_around(region.polygon, points)
    for area in region.excluded:
        inside &= ~_winds_around(area, points)
    return inside


def unblended(result: CountResult) -> InputError:
    """Return the error of a result with a density and head points where there is no manifest."""
    return InputError(
        f"result: {result.model} gives a density and head points: expected manifest="
        "counter.manifest, which says how they are blended"
    )


def check_whole(result: CountResult) -> None:
    """Refuse a result without all of its head points.

    Raises:
        InputError: the points are cut off.
    """
    if result.overflow:
        raise InputError(
            f"result: its {result.peak_count} head points are cut off at {len(result.points)}: "
            "expected all of them: give the counter no capacity, or a larger one"
        )


def _winds_around(polygon: Array, points: Array) -> NDArray[np.bool_]:
    """Return whether a polygon winds around (N, 2) points, by the edges to their right."""
    turns = np.zeros(len(points), np.int64)
    x, y = points[:, 0], points[:, 1]
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if ay != by:
            right = x < ax + (y - ay) * (bx - ax) / (by - ay)
            turns += right * ((ay <= y) & (y < by)).astype(np.int64)
            turns -= right * ((by <= y) & (y < ay)).astype(np.int64)
    around: NDArray[np.bool_] = turns != 0
    return around
