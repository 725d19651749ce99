"""The threshold and the blend of density and points, fitted to held-out images.

RAZ-Net (Liu, Weng and Mu, CVPR 2019) blends its two counts cell by cell, the denser the cell the
more by density, and leaves the weighting open. Here it is a smoothstep between two local
densities (see :class:`edgecount.manifest.FusionSpec`), whose two ends are searched on a grid
once the threshold of the points is chosen by their F1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgecount import _ext
from edgecount.manifest import FusionSpec, PostprocessSpec
from edgecount.runtime.images import read_image
from edgecount.train.data.readers import Sample
from edgecount.train.engine import predict
from edgecount.train.evaluation import detection_metrics
from edgecount.train.metrics import match_points

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
ENDS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0)
WINDOW = 3
CELL = 64  # px: 8 cells of the density, 16 of the heatmap
HARM = 1.03  # how far a set's error may rise above the density's alone

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """One held-out image, summed over the blend's cells.

    Attributes:
        density: (rows, columns) people by the density.
        crowding: the same, scaled to a whole cell where the image's edge cuts it.
        peaks: threshold to (rows, columns) head points above it.
        matches: threshold to the number of those points that match a head.
        people: the true count.
    """

    density: Array
    crowding: Array
    peaks: dict[float, Array]
    matches: dict[float, int]
    people: int


def fit_postprocess(network: nn.Module, groups: Sequence[Sequence[Sample]]) -> PostprocessSpec:
    """Threshold and blend for a trained network.

    Args:
        network: in evaluation mode.
        groups: held-out images, set by set.
    """
    seen = [[_observe(network, sample) for sample in group] for group in groups]
    return fit_blend(seen, fit_threshold(seen))


def fit_threshold(groups: Sequence[Sequence[Observation]]) -> float:
    """The threshold of the best F1, averaged over the groups."""

    def f1(group: Sequence[Observation], threshold: float) -> float:
        matched = sum(seen.matches[threshold] for seen in group)
        found = sum(float(seen.peaks[threshold].sum()) for seen in group)
        return detection_metrics(matched, round(found), sum(seen.people for seen in group))["f1"]

    return max(THRESHOLDS, key=lambda value: sum(f1(group, value) for group in groups))


def fit_blend(groups: Sequence[Sequence[Observation]], threshold: float) -> PostprocessSpec:
    """The ends that help most, and harm no group.

    A group's score is the mean absolute error of the blend over that of the density alone. What
    counts first is the worst group, if it is above :data:`HARM`, and then the mean: a blend that
    serves sparse scenes at the cost of dense ones is no default.
    """
    alone = [_mean_error(group, lambda seen: float(seen.density.sum())) for group in groups]

    def score(ends: tuple[float, float]) -> tuple[float, float]:
        ratios = [
            _mean_error(group, lambda seen: blend(seen, threshold, *ends)) / max(error, 1e-9)
            for group, error in zip(groups, alone, strict=True)
        ]
        return max(HARM, *ratios), float(np.mean(ratios))

    low, high = min(itertools.combinations(ENDS, 2), key=score)
    return PostprocessSpec(WINDOW, threshold, FusionSpec(CELL, low, high))


def blend(seen: Observation, threshold: float, low: float, high: float) -> float:
    """The blended count of an image: what the kernel computes, from the cells' sums."""
    t = np.clip((seen.crowding - low) / (high - low), 0.0, 1.0)
    weight = t * t * (3.0 - 2.0 * t)
    return float((weight * seen.density + (1.0 - weight) * seen.peaks[threshold]).sum())


def observe(
    heatmap: NDArray[np.float32],
    offset: NDArray[np.float32],
    density: NDArray[np.float32],
    sample: Sample,
) -> Observation:
    """Sum the maps of one image over the blend's cells.

    Args:
        heatmap: (1, h, w), cut to the cells that the image covers.
        offset: (1, 2, h, w).
        density: (1, h / 2, w / 2), rounded up.
        sample: the annotated image, at its own size.
    """
    sums = _cell_sums(density[0], CELL // 8)
    areas = _cell_sums(np.ones_like(density[0]), CELL // 8) / (CELL // 8) ** 2
    found = _ext.count_maps(heatmap, offset, window=WINDOW, threshold=min(THRESHOLDS)).peaks[0]
    columns, rows = (found[:, :2].astype(np.int64) // (CELL // 4)).T
    radii = sample.sizes * np.float32(np.sqrt(0.5))
    peaks, matches = {}, {}
    for threshold in THRESHOLDS:
        above = found[:, 2] > threshold
        peaks[threshold] = np.zeros_like(sums)
        # A decoded offset may lead a little past the last cell.
        place = (
            rows[above].clip(max=sums.shape[0] - 1),
            columns[above].clip(max=sums.shape[1] - 1),
        )
        np.add.at(peaks[threshold], place, 1.0)
        matches[threshold] = match_points(found[above, :2] * 4.0, sample.points, radii)
    return Observation(sums, sums / areas, peaks, matches, len(sample.points))


def _observe(network: nn.Module, sample: Sample) -> Observation:
    maps = predict(network, read_image(sample.path))
    return observe(
        maps.heatmap_logits.sigmoid()[:, 0].contiguous().numpy(),
        maps.offset.contiguous().numpy(),
        maps.density[:, 0].contiguous().numpy(),
        sample,
    )


def _cell_sums(values: NDArray[np.float32], side: int) -> Array:
    height, width = values.shape
    padded = np.pad(values.astype(np.float64), ((0, -height % side), (0, -width % side)))
    rows, columns = (length // side for length in padded.shape)
    sums: Array = padded.reshape(rows, side, columns, side).sum((1, 3))
    return sums


def _mean_error(group: Sequence[Observation], count: Callable[[Observation], float]) -> float:
    return float(np.mean([abs(count(seen) - seen.people) for seen in group]))
