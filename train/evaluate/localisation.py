"""Precision and recall of counted points over distances, and how far off they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LARGEST = 100  # px; thresholds are 1, 2 to this
NEAR = 16.0  # px; pairs that are farther apart are no error of place but two mistakes


def pair_distances(
    points: NDArray[np.floating], true: NDArray[np.floating], largest: float = LARGEST
) -> NDArray[np.float64]:
    """Match points with heads one to one, the nearest pair first, and return the distances.

    The pairs of a smaller threshold are the first ones of a larger one.

    Args:
        points: (P, 2) x, y in px.
        true: (N, 2) heads.
        largest: pairs are at most so far apart, px.

    Returns:
        (K,) ascending, px.
    """
    from scipy.spatial import KDTree

    if not len(points) or not len(true):
        return np.zeros(0)
    pairs = KDTree(true).sparse_distance_matrix(
        KDTree(points[:, :2]), largest, output_type="ndarray"
    )
    taken_heads, taken_points, distances = set(), set(), []
    for head, point, distance in np.sort(pairs, order=["v", "i", "j"]).tolist():
        if head not in taken_heads and point not in taken_points:
            taken_heads.add(head)
            taken_points.add(point)
            distances.append(distance)
    return np.array(distances, np.float64)


def localisation_metrics(
    distances: Sequence[NDArray[np.float64]], found: int, true: int
) -> dict[str, float]:
    """Return precision and recall averaged over distances, and the mean distance of near pairs.

    As the localisation results of UCF-QNRF are given (Idrees et al., ECCV 2018): precision and
    recall of the points that are counted, within 1, 2 to 100 px, and their means.

    Args:
        distances: of the pairs of each image, see :func:`pair_distances`.
        found: points of all images.
        true: heads of all images.

    Returns:
        ``precision`` and ``recall``; ``error``, the mean distance of the pairs within 16 px, px,
        where there are any.
    """
    together = np.sort(np.concatenate([np.zeros(0), *distances]))
    within = np.searchsorted(together, np.arange(1, LARGEST + 1), side="right")
    report = {
        "precision": float(np.mean(within / max(found, 1))),
        "recall": float(np.mean(within / max(true, 1))),
    }
    near = together[together <= NEAR]
    return report | ({"error": float(near.mean())} if len(near) else {})
