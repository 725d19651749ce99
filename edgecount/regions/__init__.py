"""Regions of the frame, in pixels or in shares of its sides, and what they cover of a map."""

from edgecount.regions.coverage import rasterise
from edgecount.regions.region import (
    Region,
    RegionsLike,
    check_excluded,
    check_shares,
    computed_region,
    look_like_shares,
    read_regions,
    refuse_shares,
)
from edgecount.regions.sizes import SizeWatch
from edgecount.regions.text import parse_points, parse_region

__all__ = [
    "Region",
    "RegionsLike",
    "SizeWatch",
    "check_excluded",
    "check_shares",
    "computed_region",
    "look_like_shares",
    "parse_points",
    "parse_region",
    "rasterise",
    "read_regions",
    "refuse_shares",
]
