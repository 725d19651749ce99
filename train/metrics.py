"""How far counts are from the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def count_metrics(predicted: Sequence[float], true: Sequence[float]) -> dict[str, float]:
    """MAE, RMSE (the literature's "MSE"), NAE and bias of counts.

    NAE is the mean of ``|error| / truth`` over images with people; bias the mean signed error
    (above 0: counts too many).
    """
    truth = np.asarray(true, np.float64)
    error = np.asarray(predicted, np.float64) - truth
    occupied = truth > 0
    relative = np.abs(error[occupied]) / truth[occupied]
    return {
        "images": float(len(truth)),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "nae": float(relative.mean()) if len(relative) else 0.0,
        "bias": float(error.mean()),
    }


def match_points(
    predicted: NDArray[np.floating], true: NDArray[np.floating], radii: NDArray[np.floating]
) -> int:
    """True positives: pairs of a one-to-one matching of least total distance.

    Args:
        predicted: (P, 2) x, y.
        true: (N, 2) x, y.
        radii: (N,) a prediction farther than this from a head cannot be its match.

    Returns:
        The number of matched pairs; precision is it over P, recall over N (the protocol of
        NWPU-Crowd, Wang et al. 2020, where the radius is half the box's diagonal).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if not len(predicted) or not len(true):
        return 0
    # A pair beyond its radius costs more than all good pairs together, so that the assignment
    # takes as many good pairs as there can be.
    relative = cdist(true, predicted) / np.maximum(radii, 1e-6)[:, None]
    cost = np.where(relative <= 1.0, relative, 1e6)
    rows, columns = linear_sum_assignment(cost)
    return int((relative[rows, columns] <= 1.0).sum())
