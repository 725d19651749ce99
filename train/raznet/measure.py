"""Measurement of two-stream fusion and zooming (RAZ-Net, Liu, Weng and Mu, CVPR 2019)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Sample
from edgecount.train.engine import predict
from edgecount.train.evaluate.evaluation import evaluate_counter
from edgecount.train.evaluate.metrics import count_metrics
from edgecount.train.models.base import Network
from edgecount.train.postprocess.fusion import (
    Observation,
    fit_blend,
    fit_thresholds,
    observe,
    outcome,
)

if TYPE_CHECKING:
    from edgecount import EdgeCounter

GRIDS: Mapping[str, int] = {"squares": 0, "grid": 4}
PARTS = 2  # an image's blend is fitted to the other part

Metrics = dict[str, Any]


def measure_fusion(network: Network, samples: Sequence[Sample]) -> dict[str, Metrics]:
    """Return the errors of counts by density, by points, and by both.

    Threshold and ends of the blend are fitted to every second image and measured on the others,
    and the other way round, so that no image is counted by what was fitted to it.

    Args:
        network: one that gives a density and a heatmap, in evaluation mode.
        samples: annotated images that it was not trained on, two or more.

    Returns:
        :func:`count_metrics` of ``density`` and ``points`` alone and of their blends: in
        ``squares`` of 64 px, and on the paper's ``grid`` of 4 x 4 cells of each image.

    Raises:
        ConfigError: the network gives only one of them, or there are fewer images.
    """
    roles = {str(output.role) for output in network.outputs}
    if not {"density", "heatmap"} <= roles:
        raise ConfigError(
            f"fusion: expected a network with a density and a heatmap, got {', '.join(roles)}"
        )
    if len(samples) < PARTS:
        raise ConfigError(f"fusion: expected {PARTS} images or more, got {len(samples)}")
    true = [float(len(sample.points)) for sample in samples]
    seen: dict[str, list[Observation]] = {name: [] for name in GRIDS}
    for sample in samples:
        image = sample.image()
        maps = predict(network, image, sample.mask(*image.shape[:2]))
        for name, grid in GRIDS.items():
            seen[name].append(observe(maps, sample, network.outputs, grid=grid))
    found: dict[str, Metrics] = {}
    for name, grid in GRIDS.items():
        counts = _cross_fitted(seen[name], grid)
        found |= {key: count_metrics(values.tolist(), true) for key, values in counts.items()}
        found[name] = found.pop("blend")
    return found


def _cross_fitted(seen: Sequence[Observation], grid: int) -> dict[str, np.ndarray]:
    """Return the (N,) counts by density, by points and by the blend that others were fitted to."""
    counts = {key: np.zeros(len(seen)) for key in ("density", "points", "blend")}
    for part in range(PARTS):
        others = [one for index, one in enumerate(seen) if index % PARTS != part]
        spec = fit_blend([others], fit_thresholds([others]), grid=grid)
        for index in range(part, len(seen), PARTS):
            one = seen[index]
            counts["density"][index] = one.density.sum()
            counts["points"][index] = one.peaks[spec.threshold].sum()
            counts["blend"][index] = outcome(one, spec).count
    return counts


def measure_zoom(
    open_counter: Callable[[int], EdgeCounter],
    samples: Sequence[Sample],
    *,
    zooms: Sequence[int] = (0, 1, 2),
) -> dict[int, Metrics]:
    """Return errors and times of a model that zooms so many times.

    Args:
        open_counter: opens the model with its number of enlargements, such as
            ``lambda zoom: open_checkpoint(path, zoom=zoom)``.
        samples: annotated images that it was not trained on.
        zooms: numbers of enlargements.

    Returns:
        By number of enlargements: ``mae``, ``rmse`` and ``bias`` of the fused count, ``points_mae``
        and ``points_bias`` of the number of points, ``precision``, ``recall`` and ``f1`` of points
        within half the diagonal of a head's box, ``f1_8`` within 8 px, and ``seconds`` an image,
        which includes decoding it.
    """
    found: dict[int, Metrics] = {}
    for zoom in zooms:
        with closing(open_counter(zoom)) as counter:
            begun = time.perf_counter()
            summary = evaluate_counter(counter, samples).summary()
            seconds = (time.perf_counter() - begun) / len(samples)
        count, points = summary["count"], summary["peak_count"]
        found[zoom] = {
            **{key: count[key] for key in ("mae", "rmse", "bias")},
            **{f"points_{key}": points[key] for key in ("mae", "bias")},
            **{key: summary["points"][key] for key in ("precision", "recall", "f1")},
            "f1_8": summary["points_at"]["8"]["f1"],
            "seconds": seconds,
        }
    return found
