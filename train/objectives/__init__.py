"""Objectives: what a network is trained towards, one file per system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecount._typed import build
from edgecount.errors import ConfigError
from edgecount.train.models.base import Network
from edgecount.train.objectives.base import Objective
from edgecount.train.objectives.centernet import CenterNetObjective
from edgecount.train.objectives.cfanet import CFANetObjective
from edgecount.train.objectives.density import DensityObjective
from edgecount.train.objectives.detection import DetectionObjective
from edgecount.train.objectives.edge import EdgeObjective
from edgecount.train.objectives.raznet import RAZNetObjective

OBJECTIVES: dict[str, type[Objective]] = {
    "edge": EdgeObjective,
    "density": DensityObjective,
    "centernet": CenterNetObjective,
    "cfanet": CFANetObjective,
    "detection": DetectionObjective,
    "raznet": RAZNetObjective,
}


def build_objective(name: str, options: Mapping[str, Any], network: Network) -> Objective:
    """Return an objective for a network.

    Args:
        name: a key of :data:`OBJECTIVES`.
        options: keywords of its class.
        network: network to train.

    Raises:
        ConfigError: the name or an option is unknown, or the network gives other maps.
    """
    if name not in OBJECTIVES:
        raise ConfigError(f"objective: expected one of {', '.join(OBJECTIVES)}, got {name!r}")
    return build(OBJECTIVES[name], options, "objective", network)


__all__ = ["OBJECTIVES", "Objective", "build_objective"]
