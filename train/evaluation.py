"""What a deployed model gets right, through the very counter that its users call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.train.data.readers import Sample
from edgecount.train.metrics import count_metrics, match_points

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter


def evaluate_counter(
    counter: EdgeCounter,
    samples: Sequence[Sample],
    *,
    progress: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Errors of the counts, and of the points where they can be matched.

    Args:
        counter: the model under test.
        samples: annotated images.
        progress: called after each image.

    Returns:
        ``count``, ``density_count`` and ``peak_count``, each with the values of
        :func:`count_metrics` (absent where the model gives no such count), and ``points`` with
        precision, recall and F1 within half the diagonal of each head's box.
    """
    counts: dict[str, list[float]] = {"count": [], "density_count": [], "peak_count": []}
    true = [float(len(sample.points)) for sample in samples]
    matched = found = 0
    for sample in samples:
        result = counter.count(sample.path)
        for name, values in counts.items():
            value = getattr(result, name)
            if value is not None:
                values.append(float(value))
        matched += _matches(result, sample)
        found += len(result.points)
        if progress:
            progress()
    report: dict[str, Any] = {
        name: count_metrics(values, true) for name, values in counts.items() if values
    }
    if counts["peak_count"]:
        report["points"] = detection_metrics(matched, found, round(sum(true)))
    return report


def _matches(result: CountResult, sample: Sample) -> int:
    radii = sample.sizes * np.float32(np.sqrt(0.5))
    return match_points(result.points[:, :2], sample.points, radii)


def detection_metrics(matched: int, found: int, true: int) -> dict[str, float]:
    """Precision, recall and F1 of ``matched`` pairs among ``found`` points and ``true`` heads."""
    return {
        "precision": matched / max(found, 1),
        "recall": matched / max(true, 1),
        "f1": 2 * matched / max(found + true, 1),
    }
