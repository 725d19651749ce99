"""Errors of few images: whether a model became better, and what more images would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLEAR = 1.0  # standard errors of a difference that is taken for one
SLIGHT = 0.01  # of the error: a change that nobody needs
# The error of a fitted mean falls as the root of the images; no network learns faster for long.
STEEPEST = 0.5
_DRAWS = 400
_LIKELY = (0.1, 0.9)  # of the draws


@dataclass(frozen=True)
class Comparison:
    """The errors of the same images before and after, as means of pictures.

    Attributes:
        before: mean absolute error of the source model.
        after: that of networks which had not seen the image.
        noise: standard error of the difference of the two; infinite for a single image.
    """

    before: float
    after: float
    noise: float

    @property
    def gain(self) -> float:
        """Return how far the error fell, in standard errors; negative where it rose."""
        fall = self.before - self.after
        if not fall:
            return 0.0
        return fall / self.noise if self.noise > 0 else math.copysign(math.inf, fall)

    @property
    def slight(self) -> bool:
        """Return whether the two are the same for all that anybody needs."""
        return abs(self.before - self.after) < SLIGHT * self.before

    @property
    def verdict(self) -> str:
        """Return ``better``, ``worse``, or ``open`` where it may be chance."""
        if self.slight or abs(self.gain) < CLEAR:
            return "open"
        return "better" if self.gain > 0 else "worse"

    @property
    def likely_better(self) -> bool:
        """Return whether the model after is the one to choose, certain or not.

        Most adaptations help, so that of two models which few images cannot tell apart the one
        that counted them better is the better bet: refusing what is not certain would refuse most
        good models with five images, and one that is worse by much is seldom seen as better.
        """
        return not self.slight and self.after < self.before


def compare(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Compare the absolute errors of the same images, image by image.

    An image's two errors are alike (a crowded one has larger ones before and after), so that their
    difference varies less than either.
    """
    first, second = np.array(before, np.float64), np.array(after, np.float64)
    return Comparison(float(first.mean()), float(second.mean()), standard_error(first - second))


def standard_error(values: Array) -> float:
    """Return the standard error of the mean; infinite for a single value."""
    if len(values) < 2:
        return math.inf
    return float(values.std(ddof=1)) / math.sqrt(len(values))


@dataclass(frozen=True)
class LearningCurve:
    """Mean errors by the number of images trained on.

    Attributes:
        few: that number, and the mean error.
        most: the larger number, and the mean error of the same images.
        slope: power by which the error falls with the number of images, from 0 to
            :data:`STEEPEST`.
        slopes: ends of its likely range, eight in ten.
    """

    few: tuple[float, float]
    most: tuple[float, float]
    slope: float
    slopes: tuple[float, float]

    def at(self, images: float) -> tuple[float, float, float]:
        """Return the expected error after training on so many images, and its likely range.

        The range is that of the slope alone.
        """
        ratio, error = images / self.most[0], self.most[1]
        low, high = (error * ratio**-slope for slope in self.slopes[::-1])
        return error * ratio**-self.slope, low, high

    @property
    def rises(self) -> bool:
        """Return whether more images are likely to help."""
        return self.slopes[0] > 0


def learning_curve(
    few: float, few_errors: Sequence[float], most: float, most_errors: Sequence[float]
) -> LearningCurve:
    """Fit a power law to the errors of the same images after training on few and on most.

    Args:
        few: images trained on, the smaller number.
        few_errors: absolute errors of images that were not among them.
        most: the larger number.
        most_errors: absolute errors of the same images.
    """
    first, second = np.array(few_errors, np.float64), np.array(most_errors, np.float64)
    steps = math.log(most / few)

    def slope(chosen: NDArray[np.int64]) -> float:
        # a mean error of 0 happens where two images are drawn
        ends = (max(float(errors[chosen].mean()), 1e-3) for errors in (first, second))
        higher, lower = map(math.log, ends)
        return (higher - lower) / steps

    rng = np.random.default_rng(0)  # the same report for the same images
    drawn = [slope(rng.integers(0, len(first), len(first))) for _ in range(_DRAWS)]
    low, high = np.quantile(drawn, _LIKELY)
    measured = slope(np.arange(len(first)))
    return LearningCurve(
        (few, float(first.mean())),
        (most, float(second.mean())),
        _limited(measured),
        (_limited(float(low)), _limited(float(high))),
    )


def _limited(slope: float) -> float:
    return min(max(slope, 0.0), STEEPEST)
