"""Targets drawn from head points and boxes, in NumPy; one file per idea."""

from edgecount.train.targets.attention import crowd_attention, density_levels, level_edges
from edgecount.train.targets.boxes import boxes_around, boxes_from_neighbours, boxes_from_presets
from edgecount.train.targets.cross import cross_map
from edgecount.train.targets.density import adaptive_sigmas, density_map
from edgecount.train.targets.heatmap import (
    HeatmapTargets,
    box_sigma,
    heatmap_targets,
    size_sigma,
)
from edgecount.train.targets.points import (
    bin_points,
    cells_of,
    sizes_from_neighbours,
)

__all__ = [
    "HeatmapTargets",
    "adaptive_sigmas",
    "bin_points",
    "box_sigma",
    "boxes_around",
    "boxes_from_neighbours",
    "boxes_from_presets",
    "cells_of",
    "cross_map",
    "crowd_attention",
    "density_levels",
    "density_map",
    "heatmap_targets",
    "level_edges",
    "size_sigma",
    "sizes_from_neighbours",
]
