"""Square metres of the ground that regions cover."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgecount.analytics.rectangle import GroundRectangle
from edgecount.errors import ConfigError
from edgecount.regions import Region, check_excluded, computed_region

_log = logging.getLogger(__name__)

_MOST = 4096  # areas that are kept


class RegionAreas:
    """The ground that regions cover in frames of one camera.

    Args:
        ground: rectangle on the ground; None: no area is known.
        excluded: polygons that are left out of every region, each (N, 2) x, y in shares of the
            frame's width and height.
        name: name of the ground in the log.

    Attributes:
        rectangle: the rectangle.

    Raises:
        ConfigError: a polygon makes no sense.
    """

    def __init__(
        self,
        ground: GroundRectangle | None,
        excluded: Sequence[ArrayLike] = (),
        *,
        name: str = "the ground",
    ) -> None:
        self.rectangle = ground
        self._excluded = check_excluded(name, excluded, fractions=True)
        self._name = name
        self._known: dict[tuple[Region, tuple[int, int]], float | None] = {}
        self._told: set[tuple[str, str]] = set()

    def area(self, region: Region, size: tuple[int, int]) -> float | None:
        """Return the square metres of a region in frames of (width, height), in pixels.

        None where that is not known, of which the log tells once: the region reaches above the
        horizon, or covers no ground in the frame. What it excludes is left out.
        """
        key = region, size
        if key not in self._known:
            if len(self._known) >= _MOST:  # of cameras whose frames' size changes all the time
                self._known.clear()
            self._known[key] = self._look_up(region, size)
        return self._known[key]

    def measure(self, region: Region, size: tuple[int, int]) -> float:
        """Return the square metres of a region; 0 if it covers no ground in the frame.

        Raises:
            ConfigError: there is no ground, or the region reaches above its horizon.
        """
        if self.rectangle is None:
            raise ConfigError(f"region {region.name}: expected a rectangle on the ground, got none")
        plane = self.rectangle.in_size(size)
        if not self._excluded:
            return plane.area(region)
        scale = np.array(size, np.float64)
        left_out = [*region.excluded_in(size), *(one * scale for one in self._excluded)]
        return plane.area(computed_region(region.name, region.polygon_in(size), left_out))

    def _look_up(self, region: Region, size: tuple[int, int]) -> float | None:
        if self.rectangle is None:
            return None
        why = "covers no ground in the picture"
        try:
            area = self.measure(region, size)
        except ConfigError as error:
            area, why = 0.0, f"reaches above the horizon of {self._name}"
            if "horizon" not in str(error):
                why = f"is not measured by {self._name} ({error})"
        if area:
            return area
        if (region.name, why) not in self._told:
            self._told.add((region.name, why))
            text = "region %r %s: its people per square metre are not known"
            _log.warning(text, region.name, why)
        return None
