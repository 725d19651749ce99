"""Threshold and blend fitted anew, where the images of one camera show that it helps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecount.manifest import PostprocessSpec
from edgecount.train.adapt.evidence import compare
from edgecount.train.engine import THRESHOLDS, WINDOW
from edgecount.train.postprocess.fusion import Observation, fit_blend, fit_thresholds, outcome
from edgecount.train.postprocess.interval import CountedImage

# Two parameters and a choice are fitted: fewer images would choose by their own noise.
FEWEST = 20
CLEAR = 2.0  # standard errors of the gain


@dataclass(frozen=True)
class Refit:
    """A threshold and a blend that count better, and the counts that show it.

    Attributes:
        spec: fitted to all images.
        counted: image to its count by a spec that was fitted without its fold.
        specs: image to that spec.
    """

    spec: PostprocessSpec
    counted: dict[int, CountedImage]
    specs: dict[int, PostprocessSpec]

    def errors_of(self, observed: Mapping[int, Sequence[Observation]]) -> dict[int, float]:
        """Return the mean absolute error of each image in some networks' observations of it."""
        return {
            index: float(np.mean(_errors([outcome(one, self.specs[index]) for one in several])))
            for index, several in observed.items()
            if index in self.specs
        }


def can_refit(spec: PostprocessSpec) -> bool:
    """Return whether a spec is of the kind that is fitted, so that the two can be compared."""
    return spec.fusion is not None and spec.window == WINDOW and spec.threshold in THRESHOLDS


def refit(
    observed: Mapping[int, Observation], folds: Sequence[Sequence[int]], spec: PostprocessSpec
) -> Refit | None:
    """Fit threshold and blend anew; None where too few images or too small a gain speak for it.

    Args:
        observed: image to its observation by a network that had not seen it.
        folds: numbers of the images that are left out together, two folds or more.
        spec: the source model's.
    """
    if len(observed) < FEWEST or len(folds) < 2 or not can_refit(spec):
        return None
    counted: dict[int, CountedImage] = {}
    specs: dict[int, PostprocessSpec] = {}
    for fold in folds:
        others = [seen for index, seen in observed.items() if index not in {*fold}]
        fitted = _fit(others, spec)
        counted |= {index: outcome(observed[index], fitted) for index in fold}
        specs |= dict.fromkeys(fold, fitted)
    before = [outcome(observed[index], spec) for index in counted]
    gain = compare(_errors(before), _errors(list(counted.values()))).gain
    if gain < CLEAR:
        return None
    return Refit(_fit(list(observed.values()), spec), counted, specs)


def _fit(observed: Sequence[Observation], spec: PostprocessSpec) -> PostprocessSpec:
    grid = 0 if spec.fusion is None else spec.fusion.grid
    found = fit_blend([observed], fit_thresholds([observed]), grid=grid)
    return dataclasses.replace(found, interval=spec.interval)


def _errors(counted: Sequence[CountedImage]) -> list[float]:
    return [abs(one.count - one.true) for one in counted]
