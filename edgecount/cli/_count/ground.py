"""People per square metre of the regions of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgecount.analytics import RegionAreas, level_of_service
from edgecount.regions import Region
from edgecount.result import CountResult


@dataclass(frozen=True)
class GroundCount:
    """People on a piece of ground that the camera sees.

    Attributes:
        count: people.
        area: square metres, above 0.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("area_m2", "per_m2", "level")

    count: float
    area: float

    @property
    def per_m2(self) -> float:
        """People per square metre."""
        return self.count / self.area

    @property
    def level(self) -> str:
        """Fruin's level of service of walkways, A to F."""
        return level_of_service(self.per_m2)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON types."""
        return {
            "count": round(self.count, 3),
            "area_m2": round(self.area, 3),
            "per_m2": round(self.per_m2, 4),
            "level": self.level,
        }


def ground_counts(
    areas: RegionAreas, regions: Sequence[Region], result: CountResult
) -> dict[str, GroundCount | None]:
    """Return the people on the ground of each region, by name; None where there is no ground."""
    found = {region.name: areas.area(region, result.size) for region in regions}
    return {
        name: None if area is None else GroundCount(result.regions[name].count, area)
        for name, area in found.items()
    }
