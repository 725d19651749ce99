"""Errors of counts, and matches of points with heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def count_metrics(predicted: Sequence[float], true: Sequence[float]) -> dict[str, Any]:
    """Return MAE, RMSE (the literature's "MSE"), NAE and bias of counts.

    NAE is the mean of ``|error| / truth`` over images with people, None where there are none; bias
    the mean signed error (above 0: counts too many). The others are floats.
    """
    truth = np.asarray(true, np.float64)
    error = np.asarray(predicted, np.float64) - truth
    occupied = truth > 0
    relative = np.abs(error[occupied]) / truth[occupied]
    return {
        "images": float(len(truth)),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "nae": float(relative.mean()) if len(relative) else None,
        "bias": float(error.mean()),
    }


def level_metrics(
    predicted: Sequence[float], true: Sequence[float], levels: int = 5
) -> list[dict[str, Any]]:
    """Return errors by density level: images in order of true count, in groups of equal size.

    HSRNet (Figure 6) splits a test set into five groups by the number of people. Equal shares of
    the images are taken here, so that each level's mean rests on as many images as the others';
    of images with the same count, some may fall into the next level.

    Args:
        predicted: estimates.
        true: true counts.
        levels: number of groups; with fewer images, one an image.

    Returns:
        For each level, sparse to dense, the values of :func:`count_metrics`, ``lowest`` and
        ``highest``, the true counts at its ends, and ``true`` and ``predicted``, the mean counts.
    """
    estimates, truth = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    order = np.argsort(truth, kind="stable")
    return [
        {
            "lowest": float(truth[group].min()),
            "highest": float(truth[group].max()),
            "true": float(truth[group].mean()),
            "predicted": float(estimates[group].mean()),
            **count_metrics(estimates[group].tolist(), truth[group].tolist()),
        }
        for group in np.array_split(order, min(levels, len(order)))
    ]


def match_pairs(
    predicted: NDArray[np.floating], true: NDArray[np.floating], radii: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match points to heads one to one, with as many pairs as there can be.

    Args:
        predicted: (P, 2) x, y.
        true: (N, 2) x, y.
        radii: (N,) a prediction farther than this from a head cannot be its match.

    Returns:
        Rows of ``predicted`` and, pair by pair, of ``true``, (K,) each.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching
    from scipy.spatial import KDTree

    nobody = np.zeros(0, np.int64)
    if not len(predicted) or not len(true):
        return nobody, nobody
    near = KDTree(predicted).query_ball_point(true, radii)
    ends = np.concatenate([[0], np.cumsum([len(found) for found in near])])
    columns = np.concatenate([np.asarray(found, np.int64) for found in near])
    graph = csr_matrix(
        (np.ones(len(columns), np.int8), columns, ends), shape=(len(true), len(predicted))
    )
    match = np.asarray(maximum_bipartite_matching(graph, perm_type="column"), np.int64)
    heads = np.flatnonzero(match >= 0)
    return match[heads], heads


def match_points(
    predicted: NDArray[np.floating], true: NDArray[np.floating], radii: NDArray[np.floating]
) -> int:
    """Return the true positives: the number of pairs of :func:`match_pairs`.

    Precision is it over P, recall over N (the protocol of NWPU-Crowd, Wang et al. 2020, where the
    radius is half the diagonal of the head's box).
    """
    return len(match_pairs(predicted, true, radii)[0])


def detection_metrics(matched: int, found: int, true: int) -> dict[str, float]:
    """Return precision, recall and F1.

    Args:
        matched: pairs of a point and a head.
        found: points.
        true: heads.
    """
    return {
        "precision": matched / max(found, 1),
        "recall": matched / max(true, 1),
        "f1": 2 * matched / max(found + true, 1),
    }
