"""Areas in which nobody counts, such as a screen or a poster that shows people."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgecount.analytics._blend import Blend, Masks, contains
from edgecount.errors import ConfigError
from edgecount.manifest import Manifest
from edgecount.regions import (
    Region,
    RegionsLike,
    SizeWatch,
    check_excluded,
    computed_region,
    read_regions,
)
from edgecount.result import CountResult


class Exclusion:
    """Areas of the frame in which nobody counts.

    Use it on every result, before anything else sees it: density and head points inside the areas
    are taken away, and the counts are made anew from what is left.

    Args:
        areas: polygons, each (N, 2) x, y in pixels of the frame.
        fractions: x and y are shares of the frame's width and height, 0 to 1.
        manifest: the model's, ``counter.manifest``: how density and points are blended.
        regions: regions whose counts the new results have, such as ``counter.regions``; those of
            the counter itself are left out, because they include the areas.

    Raises:
        ConfigError: there is no area, or a polygon makes no sense.
    """

    def __init__(
        self,
        areas: Sequence[ArrayLike],
        *,
        fractions: bool = False,
        manifest: Manifest | None = None,
        regions: RegionsLike | None = None,
    ) -> None:
        self.areas = check_excluded("exclusion", areas, fractions=fractions)
        if not self.areas:
            raise ConfigError("exclusion: expected one area or more, got none")
        self.fractions = fractions
        self._manifest = manifest
        self._blend = Blend(manifest)
        self._regions = Masks(read_regions(regions))
        self._left = functools.lru_cache(4)(self._make_left)
        drawn = Region("an excluded area", self.areas[0], fractions=fractions)
        self._sizes = SizeWatch([drawn])

    def apply(self, result: CountResult) -> CountResult:
        """Return the result without what is in the areas.

        Raises:
            InputError: its points are cut off at the capacity, or it has a density and points and
                no manifest was given.
        """
        self._sizes.see(result.size)
        left, masks = self._left(result.size).of(result)
        kept = contains(left[0], result.points[:, :2].astype(np.float64), result.size)
        points = result.points[kept]
        density: NDArray[np.float32] = result.density
        if masks is not None:
            density = density * masks[0]
        bare = replace(
            result,
            points=points,
            boxes=None if result.boxes is None else result.boxes[kept],
            density=density,
            peak_count=None if result.peak_count is None else len(points),
            density_count=None if masks is None else float(density.sum(dtype=np.float64)),
        )
        (total,) = self._blend.counts(
            bare, [_frame(result.size)], None if masks is None else np.ones_like(masks)
        )
        interval = None
        spec = None if self._manifest is None else self._manifest.postprocess.interval
        if result.interval is not None and spec is not None:
            interval = spec.of(total.count, bare.density_count, bare.peak_count)
        regions = self._blend.counts(bare, *self._regions.of(bare))
        return replace(
            bare,
            count=total.count,
            interval=interval,
            regions={region.name: region for region in regions},
        )

    def _make_left(self, size: tuple[int, int]) -> Masks:
        """Return the frame without the areas."""
        scale = np.array(size, np.float64) if self.fractions else np.ones(2)
        return Masks([_frame(size, [area * scale for area in self.areas])])


def _frame(size: tuple[int, int], excluded: Sequence[ArrayLike] = ()) -> Region:
    # A little wider: points may lie on the very edge of the frame.
    width, height = size[0] + 1, size[1] + 1
    corners = [(-1, -1), (width, -1), (width, height), (-1, height)]
    return computed_region("frame", corners, excluded)
