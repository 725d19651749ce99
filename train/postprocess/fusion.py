"""Threshold, blend of density and points, and interval of the count, fitted to held-out images.

RAZ-Net (Liu, Weng and Mu, CVPR 2019) blends its two counts cell by cell, the denser the cell the
more by density, and leaves the weighting open. Here it is a smoothstep between two local
densities (see :class:`edgecount.manifest.FusionSpec`), whose two ends are searched over a list, for
each threshold at which the points' F1 is nearly the best. The cells are squares of 64 px or, as in
the paper, those of a grid of 4 x 4 on each image; a network says which (``fusion_grid``).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext
from edgecount._fusion import cell_sums, fusion_cell, smoothstep
from edgecount.manifest import FusionSpec, OutputSpec, PostprocessSpec
from edgecount.train.data.sample import Sample
from edgecount.train.engine import THRESHOLDS, WINDOW, predict
from edgecount.train.evaluate.boxes import BOX_THRESHOLDS, find_boxes
from edgecount.train.evaluate.evaluation import detection_metrics
from edgecount.train.evaluate.metrics import match_points
from edgecount.train.models.base import Network
from edgecount.train.postprocess.interval import FEWEST, CountedImage, fit_interval

log = logging.getLogger(__name__)

ENDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0)
CLOSE = 0.01  # of F1: thresholds so near the best one are as good
CELL = 64  # px
HARM = 1.03  # how far a set's error may rise above that of the better of the two alone
SLIGHT = 0.1  # people: a mean error that needs no better

Array = NDArray[np.float64]
_Measured = TypeVar("_Measured")


@dataclass(frozen=True)
class Observation:
    """One held-out image, summed over the blend's cells.

    Attributes:
        density: (rows, columns) people by the density.
        crowding: the density per square of :data:`CELL` px, the image's padding left out.
        peaks: threshold to (rows, columns) head points above it.
        matches: threshold to the number of those points that match a head.
        people: the true count.
    """

    density: Array
    crowding: Array
    peaks: dict[float, Array]
    matches: dict[float, int]
    people: int


def fit_postprocess(
    network: Network,
    groups: Sequence[Sequence[Sample]],
    *,
    grid: int | None = None,
    progress: Callable[[], None] | None = None,
) -> PostprocessSpec:
    """Fit threshold, blend and interval of a trained network, as far as its maps use them.

    Args:
        network: a network in evaluation mode.
        groups: held-out images, set by set.
        grid: see :class:`edgecount.manifest.FusionSpec`; None: the network's ``fusion_grid``.
        progress: called after each image.
    """
    step = progress or (lambda: None)

    def each(measure: Callable[[Network, Sample], _Measured]) -> list[list[_Measured]]:
        measured: list[list[_Measured]] = []
        for group in groups:
            measured.append([])
            for sample in group:
                measured[-1].append(measure(network, sample))
                step()
        return measured

    roles = {output.role for output in network.outputs}
    if "boxes" not in roles and "heatmap" not in roles:
        return PostprocessSpec(interval=fit_interval(each(_by_density)))
    cells = network.fusion_grid if grid is None else grid
    seen = each(functools.partial(observe_sample, grid=cells))
    thresholds = fit_thresholds(seen)
    if "density" in roles:
        spec = fit_blend(seen, thresholds, grid=cells)
    else:
        spec = PostprocessSpec(WINDOW, least_error(seen, thresholds))
    counted = [[outcome(one, spec) for one in group] for group in seen]
    return dataclasses.replace(spec, interval=fit_interval(counted))


def outcome(seen: Observation, spec: PostprocessSpec) -> CountedImage:
    """Return the count of an observed image by a counter with this spec."""
    points = float(seen.peaks[spec.threshold].sum())
    if spec.fusion is None:
        return CountedImage(points, 0.0, seen.people)
    count = blend(seen, spec.threshold, spec.fusion.low, spec.fusion.high)
    return CountedImage(count, float(seen.density.sum()) - points, seen.people)


def _by_density(network: Network, sample: Sample) -> CountedImage:
    unit = next(output.unit for output in network.outputs if output.role == "density")
    image = sample.image()
    density = predict(network, image, sample.mask(*image.shape[:2]))["density"]
    return CountedImage(density.sum(dtype=np.float64) / unit, 0.0, len(sample.points))


def fit_thresholds(groups: Sequence[Sequence[Observation]]) -> list[float]:
    """Return the thresholds whose F1 is within :data:`CLOSE` of the best, the best first.

    F1 is averaged over the groups with people: that of a group of nobody is 0 at any threshold.
    The thresholds are in the order of it.
    """
    occupied = [group for group in groups if any(seen.people for seen in group)] or groups
    values = {
        threshold: float(np.mean([_f1(group, threshold) for group in occupied]))
        for threshold in groups[0][0].peaks
    }
    best = max(values.values())
    near = [threshold for threshold in values if values[threshold] >= best - CLOSE]
    return sorted(near, key=lambda threshold: -values[threshold])


def _f1(group: Sequence[Observation], threshold: float) -> float:
    matched = sum(seen.matches[threshold] for seen in group)
    found = sum(float(seen.peaks[threshold].sum()) for seen in group)
    return detection_metrics(matched, round(found), sum(seen.people for seen in group))["f1"]


def least_error(groups: Sequence[Sequence[Observation]], thresholds: Sequence[float]) -> float:
    """Return the threshold whose points miscount least, of some that find heads equally well.

    Args:
        groups: held-out images, set by set; each group's mean absolute error is relative to its
            mean number of people, so that no dense set decides alone.
        thresholds: to choose from, the best first; of equal errors the earlier one is taken.
    """

    def error(threshold: float) -> float:
        shares = (
            np.mean([abs(float(one.peaks[threshold].sum()) - one.people) for one in group])
            / max(np.mean([one.people for one in group]), 1.0)
            for group in groups
        )
        return float(np.mean(list(shares)))

    return min(thresholds, key=error)


def fit_blend(
    groups: Sequence[Sequence[Observation]], thresholds: Sequence[float], *, grid: int = 0
) -> PostprocessSpec:
    """Find the threshold and the ends that help most, and harm no group.

    A group's score is the mean absolute error of the blend over that of the density alone or the
    points alone, whichever is better there. What counts first is the worst group, if its score is
    above :data:`HARM` by more than the standard error of the difference: of many groups, some of a
    few images, one is always a little worse by chance. Then counts the better threshold, then the
    mean: a blend that serves sparse scenes at the cost of dense ones is no default. In the mean,
    groups of fewer than :data:`FEWEST` images weigh less.

    Args:
        groups: held-out images, set by set.
        thresholds: to choose from, the best first.
        grid: that the images were observed with.
    """
    tried = [(threshold, *_fit_ends(groups, threshold)) for threshold in thresholds]
    threshold, worst, (low, high) = min(tried, key=lambda one: one[1])
    if worst > HARM:
        log.warning(
            "the blend's error on the worst set is %.2f times that of the better of density and "
            "points alone",
            worst,
        )
    return PostprocessSpec(WINDOW, threshold, FusionSpec(CELL, low, high, grid))


def _fit_ends(
    groups: Sequence[Sequence[Observation]], threshold: float
) -> tuple[float, tuple[float, float]]:
    """Return the worst group's score less its noise, :data:`HARM` at least, and the ends for it."""
    alone = [
        min(
            _errors(group, lambda seen: float(seen.density.sum())),
            _errors(group, lambda seen: float(seen.peaks[threshold].sum())),
            key=lambda errors: float(errors.mean()),
        )
        for group in groups
    ]
    weights = [min(len(group), FEWEST) for group in groups]

    def score(ends: tuple[float, float]) -> tuple[float, float]:
        ratios, sure = [], []
        for group, better in zip(groups, alone, strict=True):
            blended = _errors(group, lambda seen: blend(seen, threshold, *ends))
            least = max(float(better.mean()), SLIGHT)
            noise = float((blended - better).std()) / math.sqrt(len(group))
            ratios.append(float(blended.mean()) / least)
            sure.append(ratios[-1] - noise / least)
        return max(HARM, *sure), float(np.average(ratios, weights=weights))

    ends = min(itertools.combinations(ENDS, 2), key=score)
    return score(ends)[0], ends


def blend(seen: Observation, threshold: float, low: float, high: float) -> float:
    """Return the blended count of an image: what the kernel computes, from the cells' sums."""
    weight = smoothstep(seen.crowding, low, high)
    return float((weight * seen.density + (1.0 - weight) * seen.peaks[threshold]).sum())


def observe(
    maps: Mapping[str, NDArray[np.float32]],
    sample: Sample,
    outputs: Sequence[OutputSpec],
    *,
    grid: int = 0,
) -> Observation:
    """Sum the maps of one image over the blend's cells.

    Args:
        maps: ``heatmap`` (1, h, w), and where the network gives them ``offset`` (2, h, w) and
            ``density`` (1, h', w'); cut to the cells that the image covers.
        sample: the annotated image, at its own size.
        outputs: the network's, which give the maps' strides and the density's unit.
        grid: see :class:`edgecount.manifest.FusionSpec`.
    """
    specs = {output.role: output for output in outputs}
    heatmap, stride = maps["heatmap"], specs["heatmap"].stride
    density = specs.get("density")
    people = maps["density"][0] / density.unit if density else np.zeros_like(heatmap[0])
    coarse = density.stride if density else stride
    cell = fusion_cell(FusionSpec(CELL, grid=grid), (people.shape[0], people.shape[1]), coarse)
    sums = cell_sums(people, cell)
    squares = cell_sums(np.ones_like(people), cell) * (coarse / CELL) ** 2
    offset = maps["offset"][None] if "offset" in maps else None
    found = _ext.count_maps(heatmap, offset, window=WINDOW, threshold=min(THRESHOLDS)).peaks[0]
    side_xy = cell[1] * (coarse // stride), cell[0] * (coarse // stride)
    columns, rows = (found[:, :2].astype(np.int64) // side_xy).T
    # Half the diagonal of a square head: the rule of NWPU-Crowd.
    radii = sample.sizes * np.float32(np.sqrt(0.5))
    peaks, matches = {}, {}
    for threshold in THRESHOLDS:
        above = found[:, 2] > threshold
        peaks[threshold] = np.zeros_like(sums)
        # A decoded offset may lead a little past the last cell.
        down, across = (side - 1 for side in sums.shape)
        place = rows[above].clip(max=down), columns[above].clip(max=across)
        np.add.at(peaks[threshold], place, 1.0)
        points = found[above, :2] * np.float32(stride)
        matches[threshold] = match_points(points, sample.points, radii)
    return Observation(sums, sums / squares, peaks, matches, len(sample.points))


def observe_sample(network: Network, sample: Sample, *, grid: int = 0) -> Observation:
    """Run a network on an image and :func:`observe` its maps, or the boxes of a detector."""
    image = sample.image()
    mask = sample.mask(*image.shape[:2])
    maps = predict(network, image, mask)
    if any(output.role == "boxes" for output in network.outputs):
        found = find_boxes(maps, network.outputs, image.shape[1::-1], region=mask)
        return observe_boxes(*found, sample)
    return observe(maps, sample, network.outputs, grid=grid)


def observe_boxes(
    scores: NDArray[np.float32], boxes: NDArray[np.float32], sample: Sample
) -> Observation:
    """Count the boxes of one image; they match heads by their centres.

    Args:
        scores: (N,) of the boxes that are left after suppression.
        boxes: (N, 4) left, top, right, bottom, px.
        sample: the annotated image, at its own size.
    """
    points = (boxes[:, :2] + boxes[:, 2:]) / np.float32(2.0)
    radii = sample.sizes * np.float32(np.sqrt(0.5))
    peaks, matches = {}, {}
    for threshold in BOX_THRESHOLDS:
        above = scores > threshold
        peaks[threshold] = np.array([[above.sum()]], np.float64)
        matches[threshold] = match_points(points[above], sample.points, radii)
    nothing = np.zeros((1, 1))
    return Observation(nothing, nothing, peaks, matches, len(sample.points))


def _errors(group: Sequence[Observation], count: Callable[[Observation], float]) -> Array:
    """Return the (N,) absolute errors of the group's images."""
    return np.array([abs(count(seen) - seen.people) for seen in group], np.float64)
