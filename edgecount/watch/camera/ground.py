"""People per square metre in the regions of a camera."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from edgecount.regions import Region
    from edgecount.watch.config import GroundConfig

_log = logging.getLogger(__name__)


class RegionAreas:
    """The ground that regions cover.

    Args:
        config: the ground's section; None: there is no ground plane, and no area.
    """

    def __init__(self, config: GroundConfig | None) -> None:
        self.rectangle = None if config is None else config.rectangle()
        self.area = functools.lru_cache(64)(self._area)

    def _area(self, region: Region, size: tuple[int, int]) -> float | None:
        """Return the square metres of a region in frames of (width, height); None: unknown."""
        if self.rectangle is None:
            return None
        try:
            plane = self.rectangle.in_size(size)
            whole = plane.area(region.polygon_in(size))
            left_out = sum(plane.area(polygon) for polygon in region.excluded_in(size))
        except ConfigError as error:
            _log.warning("region %s: no people per square metre: %s", region.name, error)
            return None
        return max(whole - left_out, 0.0) or None
