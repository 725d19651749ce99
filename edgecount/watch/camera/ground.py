"""People per square metre in the regions of a camera."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from edgecount.regions import Region
    from edgecount.watch.config import GroundConfig

_log = logging.getLogger(__name__)


class RegionAreas:
    """The ground that regions cover.

    Args:
        camera: the camera's id.
        config: the ground's section; None: there is no ground plane, and no area.
        excluded: areas of the picture, in shares of its sides, that are excluded from all regions.
    """

    def __init__(
        self, camera: str, config: GroundConfig | None, excluded: Sequence[ArrayLike] = ()
    ) -> None:
        self._camera, self._config = camera, config
        self.rectangle = None if config is None else config.rectangle()
        self._excluded = tuple(excluded)
        self.area = functools.lru_cache(64)(self._area)

    def _area(self, region: Region, size: tuple[int, int]) -> float | None:
        """Return the square metres of a region in frames of (width, height); None: unknown."""
        if self._config is None:
            return None
        try:
            return self._config.region_area(region, self._excluded, size) or None
        except ConfigError as error:
            _log.warning(
                "%s: no people per square metre: %s",
                self._camera,
                error,
                extra={"camera": self._camera},
            )
            return None
