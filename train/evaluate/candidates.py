"""A model's candidates in an image, ranked by score and matched with the heads by every rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.average_precision import (
    IOUS,
    Ranked,
    average_precision,
    find_by_distance,
    find_by_overlap,
    mean_over,
)

if TYPE_CHECKING:
    from edgecount import CountResult

# The threshold that candidates are counted with: peaks, and boxes after suppression, of a higher
# threshold are the first ones of those of a lower.
LEAST_SCORE = 0.01


def rank(result: CountResult, sample: Sample, radii: Mapping[str, NDArray[np.float64]]) -> Ranked:
    """Match the points of a result, and its boxes where the set has boxes, too.

    Args:
        result: of a counter whose threshold is :data:`LEAST_SCORE`.
        sample: the annotated image.
        radii: rule -> (M,) farthest distance of a point from each head, px.
    """
    # Peaks of a heatmap come in raster order.
    best_first = np.argsort(-result.points[:, 2], kind="stable")
    points = result.points[best_first]
    found = {
        rule: find_by_distance(points[:, :2], sample.points, reach) for rule, reach in radii.items()
    }
    true = sample.boxes
    if true is None and not len(sample.points):
        true = np.zeros((0, 4), np.float32)  # an empty picture of any set
    if result.boxes is not None and true is not None:
        boxes = result.boxes[best_first]
        # A result's boxes end at the frame; annotated ones may reach out of it.
        true = np.clip(true, 0.0, np.array(result.size * 2, np.float32))
        found |= {iou_rule(iou): find_by_overlap(boxes, true, iou) for iou in IOUS}
    return Ranked(points[:, 2].astype(np.float64), found, len(sample.points))


def iou_rule(iou: float) -> str:
    """Return the name of the rule of an IoU."""
    return f"iou {iou:.2f}"


def summarise(images: Sequence[Ranked]) -> dict[str, Any]:
    """Return the average precision of a set.

    Args:
        images: one or more, of one model.

    Returns:
        ``points``: ``ap`` and ``recall`` of each rule of distance, and ``ap`` and ``ar``, their
        means over the fixed distances (4, 8 and 16 px). ``boxes``, where all images have them:
        ``ap`` and ``ar`` over IoUs of 0.5 to 0.95, ``ap50`` and ``ap75``.
    """
    rules = [rule for rule in images[0].found if not rule.startswith("iou ")]
    distances = [rule for rule in rules if rule.isdigit()]
    points: dict[str, Any] = {rule: average_precision(images, rule) for rule in rules}
    report = {"points": points | mean_over(images, distances)}
    overlaps = [iou_rule(iou) for iou in IOUS]
    if all(overlaps[0] in image.found for image in images):
        report["boxes"] = mean_over(images, overlaps) | {
            f"ap{iou * 100:.0f}": average_precision(images, iou_rule(iou))["ap"]
            for iou in (0.5, 0.75)
        }
    return report
