"""People per square metre of the regions of a frame."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgecount.analytics import GroundPlane, level_of_service
from edgecount.errors import ConfigError
from edgecount.regions import Region
from edgecount.result import CountResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GroundCount:
    """People on a piece of ground that the camera sees.

    Attributes:
        count: people.
        area: square metres, above 0.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("area_m2", "people_per_m2", "level_of_service")

    count: float
    area: float

    @property
    def people_per_m2(self) -> float:
        """People per square metre."""
        return self.count / self.area

    @property
    def level(self) -> str:
        """Fruin's level of service of walkways, A to F."""
        return level_of_service(self.people_per_m2)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON types."""
        return {
            "count": round(self.count, 3),
            "area_m2": round(self.area, 3),
            "people_per_m2": round(self.people_per_m2, 4),
            "level_of_service": self.level,
        }


def ground_counts(
    plane: GroundPlane, regions: Sequence[Region], result: CountResult
) -> dict[str, GroundCount | None]:
    """Return the people on the ground of each region, by name; None where there is no ground."""
    areas = _areas(plane, tuple(regions))
    return {
        region.name: None if area is None else GroundCount(result.regions[region.name].count, area)
        for region, area in zip(regions, areas, strict=True)
    }


@functools.lru_cache(maxsize=8)  # regions stay for a run, and cameras may differ in size
def _areas(plane: GroundPlane, regions: tuple[Region, ...]) -> list[float | None]:
    """Return the square metres of each region within the frame; None above the horizon."""
    areas: list[float | None] = []
    for region in regions:
        try:
            area = plane.region_area(region)
        except ConfigError:
            area = 0.0
        areas.append(area or None)
        if not area:
            _log.warning(
                "region %r reaches above the horizon of --ground, or lies out of the frame: its "
                "people per square metre are not known",
                region.name,
            )
    return areas
