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
    """Return how many images an interval of this coverage is fitted to: 10 for nine in ten.

    A quantile needs one fewer. Then it would have none of the images to measure it: without one of
    them there is no quantile, but another interval.
    """
    return math.ceil(coverage / (1 - coverage) - 1e-9) + 1


def can_fit(spec: IntervalSpec, seen: Sequence[CountedImage]) -> bool:
    """Return whether the images are enough to fit the interval's ends by a quantile."""
    return len(_spreads(spec, seen)) >= fewest_images(spec.coverage)


def _spreads(spec: IntervalSpec, seen: Sequence[CountedImage]) -> list[float]:
    """Return the errors in spreads."""
    return [
        abs(one.true - one.count) / spec.spread(one.count, one.difference)
        for one in seen
        if spec.spread(one.count, one.difference) > 0
    ]


def rescale(spec: IntervalSpec, seen: Sequence[CountedImage]) -> IntervalSpec:
    """Return the source model's interval with ends that hold for one camera.

    To fewer images than :func:`fewest_images` no quantile is fitted. The source's ends are kept,
    and widened if the errors ask for it by a Laplace distribution, whose tails the spread was
    fitted with: the next error over the mean of n has an F distribution with 2 and 2n degrees of
    freedom. They are never narrowed, because so few cannot show that they are too wide.

    Args:
        spec: the source model's interval.
        seen: images of the camera, counted by networks that had not seen them.
    """
    return _rescaled(spec, seen, fit=can_fit(spec, seen))


def _rescaled(spec: IntervalSpec, seen: Sequence[CountedImage], *, fit: bool) -> IntervalSpec:
    """Return the ends by a quantile of the errors, or by the source's ends."""
    errors = _spreads(spec, seen)
    if fit:
        place = math.ceil((len(errors) + 1) * spec.coverage - 1e-9)
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
    """Return coverage and mean width of the interval that :func:`rescale` gives for all images.

    The coverage is that of intervals which are made in the same way, by a quantile or by the
    source's ends, without the images that they are tried on. The width is the interval's own.

    Args:
        spec: the source model's interval.
        seen: images of the camera, counted by networks that had not seen them.
        folds: numbers of the images that are left out together, where what is left of them still
            has a quantile; else each image is left out alone.
    """
    fit = can_fit(spec, seen)
    rest = min(len(_spreads(spec, _without(seen, fold))) for fold in folds)
    together = fit and rest >= fewest_images(spec.coverage) - 1
    covered = 0.0
    for fold in folds if together else [[number] for number in range(len(seen))]:
        made = _rescaled(spec, _without(seen, fold), fit=fit)
        covered += check_interval(made, [seen[index] for index in fold]).coverage * len(fold)
    return IntervalCheck(covered / len(seen), check_interval(rescale(spec, seen), seen).width)


def _without(seen: Sequence[CountedImage], numbers: Sequence[int]) -> list[CountedImage]:
    return [one for index, one in enumerate(seen) if index not in {*numbers}]
