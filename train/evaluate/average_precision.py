"""Average precision of boxes and points: candidates ranked by their score, without a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Found = NDArray[np.bool_]

IOUS = tuple(0.5 + 0.05 * step for step in range(10))
RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class Ranked:
    """The candidates of one image, and which of them find a head.

    Attributes:
        scores: (N,) descending.
        found: rule -> (N,) True where the candidate has found a head that no better one had.
        true: annotated heads.
    """

    scores: NDArray[np.float64]
    found: Mapping[str, Found]
    true: int


def find_by_overlap(boxes: Array, true: Array, least: float) -> Found:
    """Match boxes with heads greedily, as COCO's evaluation does.

    Each box, from the best on, takes the free head that it overlaps most, if the IoU is at least
    `least`.

    Args:
        boxes: (N, 4) left, top, right, bottom by descending score.
        true: (M, 4) boxes of the heads.
        least: the least IoU.

    Returns:
        (N,) True where a box has found a head.
    """
    return _greedy(overlaps(boxes, true), np.full(len(true), least))


def find_by_distance(points: Array, true: Array, radii: Array) -> Found:
    """Match points with heads greedily: each, from the best on, takes the nearest free head.

    Args:
        points: (N, 2) x, y by descending score.
        true: (M, 2) heads.
        radii: (M,) a point farther from a head than this does not find it.

    Returns:
        (N,) True where a point has found a head.
    """
    apart = points[:, None].astype(np.float64) - true[None].astype(np.float64)
    return _greedy(-np.hypot(apart[..., 0], apart[..., 1]), -np.asarray(radii, np.float64))


def _greedy(likeness: NDArray[np.float64], least: NDArray[np.float64]) -> Found:
    """Give each row, in turn, the free column of most likeness, if that is enough."""
    rows, columns = likeness.shape
    found = np.zeros(rows, bool)
    if not columns:
        return found
    # nobody ever looks at a pair that is too unlike
    open_pairs = np.where(likeness >= least, likeness, -np.inf)
    for row in range(rows):
        best = int(open_pairs[row].argmax())
        if open_pairs[row, best] > -np.inf:
            found[row] = True
            open_pairs[:, best] = -np.inf
    return found


def overlaps(boxes: Array, true: Array) -> NDArray[np.float64]:
    """Return the IoU of (N, 4) with (M, 4) boxes, (N, M); 0 for boxes without area."""
    first, second = boxes.astype(np.float64)[:, None], true.astype(np.float64)[None]
    corner = np.maximum(first[..., :2], second[..., :2])
    sides = (np.minimum(first[..., 2:], second[..., 2:]) - corner).clip(0.0)
    shared = sides.prod(-1)
    union = _areas(first) + _areas(second) - shared
    shares: NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=shares, where=union > 0)
    return shares


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).clip(0.0).prod(-1)
    return areas


def average_precision(images: Sequence[Ranked], rule: str) -> dict[str, float]:
    """Return AP and the recall of all candidates of a set.

    AP is COCO's: the mean, over the recalls 0, 0.01 to 1, of the best precision at that recall or
    a higher one, and 0 where that recall is never reached. COCO takes the best 100 candidates of
    an image; crowds have more heads, and all candidates are taken here.

    Args:
        images: the candidates of each image.
        rule: key of :attr:`Ranked.found`.

    Returns:
        ``ap`` and ``recall``; both 0 where there are no heads.
    """
    true = sum(image.true for image in images)
    scores = np.concatenate([image.scores for image in images])
    found = np.concatenate([image.found[rule] for image in images])
    if not true or not len(scores):
        return {"ap": 0.0, "recall": 0.0}
    hits = np.cumsum(found[np.argsort(-scores, kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / true, RECALLS, side="left")
    reached = places < len(best)
    values = np.where(reached, best[np.minimum(places, len(best) - 1)], 0.0)
    return {"ap": float(values.mean()), "recall": float(hits[-1] / true)}


def mean_over(images: Sequence[Ranked], rules: Sequence[str]) -> dict[str, float]:
    """Return the means over rules of AP and of the candidates' recall, COCO's AR.

    Args:
        images: the candidates of each image.
        rules: keys of :attr:`Ranked.found`.

    Returns:
        ``ap`` and ``ar``.
    """
    each = [average_precision(images, rule) for rule in rules]
    return {
        "ap": float(np.mean([one["ap"] for one in each])),
        "ar": float(np.mean([one["recall"] for one in each])),
    }
