"""Head boxes, and their sizes for sets that annotate points alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.train.targets.points import sizes_from_neighbours

Array = NDArray[np.float32]


def boxes_around(centres: NDArray[np.floating], spans: NDArray[np.floating]) -> Array:
    """Return (N, 4) boxes of (N, 2) centres and their widths and heights, (N, 2) or (N, 1)."""
    half = spans / 2
    with np.errstate(over="ignore"):  # to infinity, which whoever takes the boxes refuses
        boxes: Array = np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
    return boxes


def boxes_from_presets(points: Array, presets: Array) -> Array:
    """Draw boxes around points, sized like the typical heads of the scene.

    The semi-automatic labelling of GTA_Head (Zhong et al., "Mask Focal Loss", section IV-A): a
    head's width and height are interpolated linearly by its distances to the two closest preset
    boxes, so the nearer weighs more; at a preset's centre they are its own.

    Args:
        points: (N, 2) x, y in px.
        presets: (K, 4) left, top, right, bottom of typical heads, K >= 1; one sizes all heads.

    Returns:
        (N, 4) left, top, right, bottom, centred on the points.

    Raises:
        ConfigError: there is no preset.
    """
    if not len(presets):
        raise ConfigError("presets: expected the box of one typical head or more, got none")
    centres = (presets[:, :2] + presets[:, 2:]) / 2.0
    sides = presets[:, 2:] - presets[:, :2]
    distances = np.linalg.norm(points[:, None] - centres[None], axis=2)
    closest = np.argsort(distances, axis=1, kind="stable")[:, :2]
    near = np.take_along_axis(distances, closest, axis=1)
    # each of the two weighs by the distance to the other
    weights = near[:, ::-1] if closest.shape[1] == 2 else np.ones_like(near)
    total = weights.sum(1, keepdims=True)
    weights = np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1.0 / near.shape[1])
    return boxes_around(points, (weights[:, :, None] * sides[closest]).sum(1))


def boxes_from_neighbours(points: Array, *, largest: float = 40.0) -> Array:
    """Return (N, 4) squares of :func:`sizes_from_neighbours` around (N, 2) points."""
    return boxes_around(points, sizes_from_neighbours(points, largest=largest)[:, None])
