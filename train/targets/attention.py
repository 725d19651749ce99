"""CFANet's attention targets: where the crowd is, and how dense."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError

Array = NDArray[np.float32]

CROWD = 1e-5


def crowd_attention(density: Array, threshold: float = CROWD) -> Array:
    """Return CAM, the shape of ``density``: 1 where that is at least ``threshold``, else 0."""
    return (density >= threshold).astype(np.float32)


def level_edges(densities: Iterable[Array], classes: int = 6, threshold: float = CROWD) -> Array:
    """Return densities that split the crowd of a training set into ``classes - 1`` equal shares.

    The paper splits "by statistics of the training set" and says no more: equal shares make no
    class rare, whatever the set.

    Args:
        densities: density maps of training images.
        classes: number of classes of the fine attention map, background included, at least 3.
        threshold: densities below it are background.

    Returns:
        (classes - 2,) ascending.

    Raises:
        ConfigError: there is nobody in any map, or too few classes.
    """
    if classes < 3:
        raise ConfigError(f"objective.classes: expected 3 or more, got {classes}")
    crowded = [d[d >= threshold][::7] for d in densities]  # a seventh says the same
    values = np.concatenate(crowded) if crowded else np.zeros(0, np.float32)
    if not len(values):
        raise ConfigError("objective: no image of the training set has people in it")
    shares = np.linspace(0, 1, classes)[1:-1]
    edges: Array = np.quantile(values, shares).astype(np.float32)
    return edges


def density_levels(density: Array, edges: Array, threshold: float = CROWD) -> Array:
    """Return FAM: each cell's class, 0 for background, 1 to ``len(edges) + 1`` by density.

    Args:
        density: (h, w) people per cell.
        edges: result of :func:`level_edges`.
        threshold: densities below it are background.
    """
    levels = 1.0 + np.searchsorted(edges, density, side="right")
    return np.where(density < threshold, 0.0, levels).astype(np.float32)
