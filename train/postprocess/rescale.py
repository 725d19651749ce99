"""The interval of a model that was adapted to one camera, from few images of it.

The source model's interval says how the spread grows with the count; how far its ends are from the
count is fitted anew, by split-conformal quantiles of the errors in spreads (Papadopoulos et al.
2002; Lei et al. 2018). Of n images the ``ceil((n + 1) * coverage)``-th smallest error covers the
next one with at least that probability, whatever the errors' distribution, if the next is as these
are: neighbours of them, or another season, are not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecount.manifest import IntervalSpec
from edgecount.train.postprocess.interval import CountedImage


@dataclass(frozen=True)
class IntervalCheck:
    """The two numbers of an interval that only say something together.

    Attributes:
        coverage: share of images whose truth is inside.
        width: mean width in people.
    """

    coverage: float
    width: float


def fewest_images(coverage: float) -> int:
    """Return how many images a quantile of this coverage needs: 9 for nine in ten."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def rescale(spec: IntervalSpec, seen: Sequence[CountedImage]) -> IntervalSpec:
    """Return the source model's interval with ends that hold for one camera.

    With fewer images than :func:`fewest_images` no quantile is theirs. The source's ends are kept,
    and widened if the errors ask for it by a Laplace distribution, whose tails the spread was
    fitted with: the next error over the mean of n has an F distribution with 2 and 2n degrees of
    freedom. They are never narrowed, because so few cannot show that they are too wide.

    Args:
        spec: the source model's interval.
        seen: images of the camera, counted by networks that had not seen them.
    """
    errors = [
        abs(one.true - one.count) / spec.spread(one.count, one.difference)
        for one in seen
        if spec.spread(one.count, one.difference) > 0
    ]
    place = math.ceil((len(errors) + 1) * spec.coverage - 1e-9)
    if place <= len(errors):
        # A camera's own errors have no side that another camera's would have.
        end = float(np.sort(errors)[place - 1])
        return dataclasses.replace(spec, below=end, above=end)
    number = len(errors)
    least = 0.0
    if number:
        least = float(np.mean(errors)) * number * ((1 - spec.coverage) ** (-1 / number) - 1)
    return dataclasses.replace(spec, below=max(spec.below, least), above=max(spec.above, least))


def check_interval(spec: IntervalSpec, seen: Sequence[CountedImage]) -> IntervalCheck:
    """Return coverage and mean width of an interval on counted images."""
    ends = [spec.around(one.count, one.difference) for one in seen]
    inside = [low <= one.true <= high for one, (low, high) in zip(seen, ends, strict=True)]
    return IntervalCheck(float(np.mean(inside)), float(np.mean([high - low for low, high in ends])))


def check_rescaled(
    spec: IntervalSpec, seen: Sequence[CountedImage], folds: Sequence[Sequence[int]]
) -> IntervalCheck:
    """Return coverage and mean width of rescaled intervals on images that they were not fitted to.

    Args:
        spec: the source model's interval.
        seen: images of the camera, counted by networks that had not seen them.
        folds: numbers of the images that are left out together, where what is left of them still
            has a quantile; else each image is left out alone.
    """
    rest = len(seen) - max(map(len, folds))
    together = rest >= fewest_images(spec.coverage)
    split = folds if together else [[number] for number in range(len(seen))]
    covered = widths = 0.0
    for fold in split:
        left_out = {*fold}
        fitted = rescale(spec, [one for index, one in enumerate(seen) if index not in left_out])
        found = check_interval(fitted, [seen[index] for index in fold])
        covered += found.coverage * len(fold)
        widths += found.width * len(fold)
    return IntervalCheck(covered / len(seen), widths / len(seen))
