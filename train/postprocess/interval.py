"""The interval of a count: how far the truth may be from it, fitted to held-out images.

The spread's terms are fitted by the likelihood of a Laplace distribution, whose tails are those of
counting errors, and its ends by split-conformal quantiles (Vovk, Gammerman and Shafer 2005; Lei et
al. 2018) of the errors in spreads. Images of one set are alike, and those of a new camera are like
none of them: with several sets the ends are stretched until they hold for sets that the fit has
not seen (the setting of Dunn, Wasserman and Ramdas, "Distribution-free prediction sets for
two-layer hierarchical models", JASA 2022).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError
from edgecount.manifest import IntervalSpec

Array = NDArray[np.float64]
FEWEST = 20  # images, in all: the twentieth part of fewer says nothing
_LOGS = (-8.0, 5.0)  # of the terms' weights
SETS = 3  # the fewest from which sets can be told what new ones are like
SLACK = 0.15  # a single new set may be covered less than asked for by this
_LOPSIDED = 0.5  # a bias that the sets share need not be that of a new one
_NEAREST = 0.5  # spreads from the count to an end
_TRUSTED = (
    0.25  # of the interval of all sets: sets without errors must not make that of others wide
)
_LEAST = 0.5  # people: no frame is known better, whatever the held-out images say


@dataclass(frozen=True)
class CountedImage:
    """The counts of one held-out image.

    Attributes:
        count: the estimate.
        difference: the density's count minus the points'; 0 where there is only one.
        true: annotated people.
    """

    count: float
    difference: float
    true: float


def fit_interval(
    groups: Sequence[Sequence[CountedImage]], coverage: float = 0.9, slack: float = SLACK
) -> IntervalSpec | None:
    """Fit the interval that holds the truth of ``coverage`` of the held-out images.

    Every group of :data:`FEWEST` images or more weighs the same, so that a set of many images does
    not speak for the others; smaller ones weigh less. With :data:`SETS` sets or more the interval
    is that of a new set: fitted without a set, and stretched alike, it holds the truth of
    ``coverage`` of its images in the mean over the sets, and of at most ``slack`` less in each.

    Args:
        groups: held-out images, set by set.
        coverage: share of the images, in (0, 1).
        slack: how much less of a single new set may be covered; the less, the wider.

    Returns:
        None where there are fewer than :data:`FEWEST` images, or too few for the coverage.
    """
    groups = [group for group in groups if group]
    spec = _fit(groups, coverage)
    return spec if spec is None or len(groups) < SETS else _for_new_sets(spec, groups, slack)


def new_set_coverage(
    groups: Sequence[Sequence[CountedImage]], coverage: float = 0.9
) -> list[tuple[float, float]]:
    """Return each group's coverage and mean width by the interval of all other groups.

    Widths are shares of the mean true count, in people where it is below one.

    Args:
        groups: held-out images, set by set, none empty.
        coverage: asked for.

    Raises:
        ConfigError: the other groups have too few images to fit.
    """
    found = []
    for number, group in enumerate(groups):
        spec = fit_interval([*groups[:number], *groups[number + 1 :]], coverage)
        if spec is None:
            raise ConfigError(
                f"new_set_coverage: expected {FEWEST} images or more beside group {number}, got "
                f"{sum(map(len, groups)) - len(group)}"
            )
        ends = [spec.around(seen.count, seen.difference) for seen in group]
        width = float(np.mean([high - low for low, high in ends]))
        people = max(float(np.mean([seen.true for seen in group])), 1.0)
        found.append((_inside(spec, group) / len(group), width / people))
    return found


def _for_new_sets(
    spec: IntervalSpec, groups: Sequence[Sequence[CountedImage]], slack: float
) -> IntervalSpec:
    """Return the spec with ends stretched until they hold for sets left out of the fit."""
    needed = []
    for number, group in enumerate(groups):
        rest = _fit([*groups[:number], *groups[number + 1 :]], spec.coverage, start=spec)
        if rest is not None:
            needed.append(_stretches(_balanced(rest), _balanced(spec), group))
    if len(needed) < SETS:
        return spec
    tried = np.unique(np.concatenate(needed))
    stretch = next(float(one) for one in tried if _holds(float(one), needed, spec.coverage, slack))
    ends = _balanced(spec)
    below, above = (max(end * stretch, _NEAREST) for end in (ends.below, ends.above))
    return dataclasses.replace(spec, below=below, above=above)


def _holds(stretch: float, needed: Sequence[Array], coverage: float, slack: float) -> bool:
    """Return whether ends stretched so far cover the sets in the mean, and none far too little."""
    covered = np.array([np.mean(one <= stretch) for one in needed])
    numbers = np.array([len(one) for one in needed])
    # Of six images one is a sixth of the coverage: small groups weigh less here too, and a single
    # image may lie outside in each.
    weights = np.minimum(numbers / FEWEST, 1.0)
    in_mean = float(covered @ weights) >= coverage * float(weights.sum()) - 1e-9
    return in_mean and bool((covered + 1 / numbers >= coverage - slack).all())


def _balanced(spec: IntervalSpec) -> IntervalSpec:
    """Return the spec with neither end nearer than half of the other, and none at the count."""
    return dataclasses.replace(
        spec,
        below=max(spec.below, _LOPSIDED * spec.above, _NEAREST),
        above=max(spec.above, _LOPSIDED * spec.below, _NEAREST),
    )


def _stretches(rest: IntervalSpec, whole: IntervalSpec, group: Sequence[CountedImage]) -> Array:
    """Return the factor of the ends from which on each image's truth is inside.

    Args:
        rest: fitted without the group. Sets that are counted without an error, such as pictures of
            nobody, say little of others: it is taken to be at least a share of ``whole``.
        whole: fitted to all sets.
        group: the images.
    """
    errors = np.array([seen.true - seen.count for seen in group])

    def ends(spec: IntervalSpec) -> Array:
        spreads = np.array([spec.spread(seen.count, seen.difference) for seen in group])
        half: Array = np.where(errors > 0, spec.above, spec.below) * spreads
        return half

    factors: Array = np.abs(errors) / np.maximum(ends(rest), _TRUSTED * ends(whole))
    return factors


def _fit(
    groups: Sequence[Sequence[CountedImage]], coverage: float, start: IntervalSpec | None = None
) -> IntervalSpec | None:
    """Fit the interval of these very sets; ``start`` saves the search for the best minimum."""
    from scipy.optimize import minimize

    if sum(len(group) for group in groups) < max(FEWEST, round(2 / (1 - coverage))):
        return None
    counts, differences, true = _columns(groups)
    weights = np.concatenate([np.full(len(group), 1 / max(len(group), FEWEST)) for group in groups])
    weights /= weights.sum()
    errors = true - counts
    terms = np.stack([np.ones_like(counts), counts.clip(min=0), counts**2, differences**2])

    # Logarithms of the weights: they stay above 0, and span orders of magnitude.
    def cost(logs: Array) -> float:
        spread = np.sqrt(np.exp(2 * logs) @ terms + _LEAST**2)
        return float(weights @ (np.log(spread) + np.abs(errors) / spread))

    # The cost has several minima; each start is a mix of errors that real sets have.
    starts = [
        np.log([1.0, root, share, gap])
        for root in (0.1, 1.0)
        for share in (0.02, 0.1)
        for gap in (0.02, 0.2)
    ]
    if start is not None:
        terms_then = (start.floor, start.root, start.share, start.gap)
        starts = [np.log(np.maximum(terms_then, 1e-3))]
    options = {"maxiter": 4000, "xatol": 1e-4, "fatol": 1e-7}
    found = [
        minimize(cost, start, method="Nelder-Mead", bounds=[_LOGS] * 4, options=options)
        for start in starts
    ]
    best = np.exp(min(found, key=lambda result: float(result.fun)).x).round(6).tolist()
    floor = math.hypot(best[0], _LEAST)
    gap = best[3] if differences.any() else 0.0
    spec = IntervalSpec(coverage, 0.0, 0.0, floor, best[1], best[2], gap)
    return widen(spec, groups, weights)


def widen(
    spec: IntervalSpec, groups: Sequence[Sequence[CountedImage]], weights: Array
) -> IntervalSpec:
    """Return the spec with ends that leave half of what is not covered on either side."""
    spreads = [spec.spread(seen.count, seen.difference) for group in groups for seen in group]
    counts, _, true = _columns(groups)
    above = (true - counts) / np.array(spreads)
    tail = (1 - spec.coverage) / 2
    # one more image than was seen: the next one (conformal prediction's correction), of as many as
    # these weights are worth (Kish's effective size)
    images = 1 / float(np.square(weights).sum())
    level = min((1 - tail) * (images + 1) / images, 1.0)
    return dataclasses.replace(
        spec,
        below=max(_quantile(-above, weights, level), 0.0),
        above=max(_quantile(above, weights, level), 0.0),
    )


def cross_coverage(
    groups: Sequence[Sequence[CountedImage]], coverage: float = 0.9, folds: int = 5
) -> list[float]:
    """Return each group's coverage by intervals fitted without the images they are tried on.

    Each fold leaves out a run of neighbours, because frames of one video are alike. It is still
    kind to a set of a single scene: the rest of it is in the fit.

    Args:
        groups: held-out images, set by set, none empty.
        coverage: asked for.
        folds: number of parts in which each group is left out.

    Raises:
        ConfigError: there are too few images to fit without a fold.
    """
    inside = np.zeros(len(groups))
    for fold in range(folds):
        parts = [_split(group, fold, folds) for group in groups]
        spec = fit_interval([rest for rest, _ in parts], coverage)
        if spec is None:
            raise ConfigError(
                f"cross_coverage: expected {FEWEST} images or more beside each fold, got "
                f"{sum(len(rest) for rest, _ in parts)}"
            )
        inside += [_inside(spec, left_out) for _, left_out in parts]
    return [float(found / len(group)) for found, group in zip(inside, groups, strict=True)]


def _split(
    group: Sequence[CountedImage], fold: int, folds: int
) -> tuple[list[CountedImage], list[CountedImage]]:
    """Split into what is fitted, and the neighbours that are left out."""
    start, stop = len(group) * fold // folds, len(group) * (fold + 1) // folds
    return [*group[:start], *group[stop:]], list(group[start:stop])


def _inside(spec: IntervalSpec, outcomes: Sequence[CountedImage]) -> int:
    ends = ((seen, spec.around(seen.count, seen.difference)) for seen in outcomes)
    return sum(low <= seen.true <= high for seen, (low, high) in ends)


def _columns(groups: Sequence[Sequence[CountedImage]]) -> tuple[Array, Array, Array]:
    table = np.array([dataclasses.astuple(seen) for group in groups for seen in group], np.float64)
    return table[:, 0], table[:, 1], table[:, 2]


def _quantile(values: Array, weights: Array, level: float) -> float:
    """Return the least value that ``level`` of the weight is not above."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, level * reached[-1] - 1e-12))
    return float(values[order[min(place, len(values) - 1)]])
