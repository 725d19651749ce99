"""Metrics of a deployed model, measured through the counter that its users call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import BackendError, ConfigError, SourceError
from edgecount.manifest import IntervalSpec
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.average_precision import Ranked
from edgecount.train.evaluate.candidates import rank, summarise
from edgecount.train.evaluate.counting import Counted, count_samples
from edgecount.train.evaluate.density_quality import (
    background_people,
    kernels_of,
    map_quality,
    true_density,
)
from edgecount.train.evaluate.localisation import localisation_metrics, pair_distances
from edgecount.train.evaluate.metrics import (
    count_metrics,
    detection_metrics,
    level_metrics,
    match_points,
)
from edgecount.train.evaluate.spatial_metrics import density_by_region, game, points_by_region
from edgecount.train.targets.kernels import Kernels

if TYPE_CHECKING:
    from edgecount import CountResult, EdgeCounter

__all__ = ["Evaluation", "ImageRecord", "detection_metrics", "evaluate_counter", "head_radii"]

COUNTS = ("count", "density_count", "peak_count")
RADII = (4, 8, 16)  # px of the image


@dataclass(frozen=True)
class ImageRecord:
    """Counts and errors of one image; those of a map that the model does not give are None.

    Attributes:
        name: the sample's.
        path: the image file.
        true: annotated heads.
        count: the fused estimate.
        density_count: the density map's sum.
        peak_count: head points found.
        game: GAME(0) to GAME(3) of the density.
        game_of_points: GAME(0) to GAME(3) of the points.
        ssim: structural similarity of the density; None in an image without people, too.
        psnr: peak signal-to-noise ratio of the density, dB; None in an image without people, too.
        background: people estimated where nobody is.
        estimated: people that the density has above 0, in all.
        tails: people of the true density itself where that is taken as background.
        matched: points that are matched to a head, by the rule: ``box`` (within half the diagonal
            of its box), ``short_side`` (within half of the box's shorter side), ``4``, ``8``,
            ``16`` (px).
        distances: (K,) px between points and the heads that they are nearest to, one to one.
        ranked: the model's candidates, where they were asked for.
        interval: (low, high) that the model gives around the count; None: it gives none.
        group: the sample's, such as its scene; empty: none.
    """

    name: str
    path: Path
    true: int
    count: float
    density_count: float | None = None
    peak_count: int | None = None
    game: tuple[float, ...] | None = None
    game_of_points: tuple[float, ...] | None = None
    ssim: float | None = None
    psnr: float | None = None
    background: float | None = None
    estimated: float | None = None
    tails: float | None = None
    matched: dict[str, int] | None = None
    distances: NDArray[np.float64] | None = field(default=None, repr=False)
    ranked: Ranked | None = field(default=None, repr=False)
    interval: tuple[float, float] | None = None
    group: str = ""

    @property
    def error(self) -> float:
        """Return the estimate minus the truth: above 0 counts too many."""
        return self.count - self.true

    @property
    def difference(self) -> float:
        """Return the density's count minus the points'; 0 where there is only one of them."""
        return IntervalSpec.difference(self.density_count, self.peak_count)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types, without distances and candidates."""
        values = dataclasses.asdict(dataclasses.replace(self, distances=None, ranked=None))
        del values["distances"], values["ranked"]
        return {**values, "path": str(self.path)}


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on one annotated set.

    Attributes:
        images: one or more records, in the order of the samples.
        kernels: those of the true density; None: none was drawn.
    """

    images: list[ImageRecord]
    kernels: Kernels | None = None

    def summary(self) -> dict[str, Any]:
        """Return all metrics of the set as plain JSON types, but for maps that the model lacks.

        Returns:
            - ``count``, ``density_count``, ``peak_count``: the values of :func:`count_metrics`;
            - ``points``: precision, recall and F1 of the points, by the heads' boxes;
            - ``points_short_side``: the same within half the shorter side of the heads' boxes;
            - ``points_at``: the same within ``4``, ``8`` and ``16`` px;
            - ``localisation``: the values of :func:`localisation_metrics`;
            - ``average_precision``: those of :func:`summarise`, where candidates were asked for;
            - ``game``: GAME(0) to GAME(3) of the density, or of the points where there is none;
              ``game_of_points`` where there are both;
            - ``ssim``, ``psnr``: means over the images with people;
            - ``false_recognition``: share of the estimated people in the background, CFANet's
              r_bg; ``false_recognition_of_truth``: the share that the true density has there, that
              of a right map;
            - ``kernels``: of the true density, which the four above are relative to;
            - ``interval``: ``coverage``, the share of the images whose truth lies inside, both ends
              included, and ``width``, the mean of the interval's width over the fused count (over 1
              where fewer are counted);
            - ``levels``: :func:`level_metrics` of the fused count;
            - ``groups``: the values of :func:`count_metrics` of each group of images, such as a
              scene, and ``mean_of_groups``, the mean of each value over the groups (WorldExpo'10)
              that have it, where images have groups.
        """
        true = [float(image.true) for image in self.images]
        report: dict[str, Any] = {
            name: count_metrics(values, true) for name in COUNTS if (values := self._values(name))
        }
        report |= self._points() | self._game() | self._density() | self._interval()
        report["levels"] = level_metrics(self._values("count"), true)
        return report | self._groups()

    def _groups(self) -> dict[str, Any]:
        names = sorted({image.group for image in self.images} - {""})
        if not names:
            return {}
        groups = {}
        for name in names:
            images = [image for image in self.images if image.group == name]
            groups[name] = count_metrics([i.count for i in images], [i.true for i in images])
        values = ("mae", "rmse", "nae", "bias")
        means = {key: _mean([group[key] for group in groups.values()]) for key in values}
        return {"groups": groups, "mean_of_groups": means}

    def _values(self, name: str) -> list[Any]:
        found = [getattr(image, name) for image in self.images]
        return [value for value in found if value is not None]

    def _points(self) -> dict[str, Any]:
        found, matched = self._values("peak_count"), self._values("matched")
        if not found:
            return {}
        true = sum(image.true for image in self.images)
        by_rule = {
            rule: detection_metrics(sum(image[rule] for image in matched), sum(found), true)
            for rule in matched[0]
        }
        report: dict[str, Any] = {"points": by_rule.pop("box")}
        if "short_side" in by_rule:
            report["points_short_side"] = by_rule.pop("short_side")
        report["points_at"] = by_rule
        distances = self._values("distances")
        if distances:
            report["localisation"] = localisation_metrics(distances, sum(found), true)
        ranked = self._values("ranked")
        return report | ({"average_precision": summarise(ranked)} if ranked else {})

    def _game(self) -> dict[str, list[float]]:
        both = {
            name: np.mean(values, axis=0).tolist()
            for name in ("game", "game_of_points")
            if (values := self._values(name))
        }
        return both if "game" in both or not both else {"game": both["game_of_points"]}

    def _density(self) -> dict[str, Any]:
        report: dict[str, Any] = {
            name: float(np.mean(values))
            for name in ("ssim", "psnr")
            if (values := self._values(name))
        }
        estimated = sum(self._values("estimated"))
        if estimated > 0:
            report["false_recognition"] = sum(self._values("background")) / estimated
        true = sum(image.true for image in self.images if image.tails is not None)
        if true:
            report["false_recognition_of_truth"] = sum(self._values("tails")) / true
        if report and self.kernels:
            report["kernels"] = dataclasses.asdict(self.kernels)
        return report

    def _interval(self) -> dict[str, dict[str, float]]:
        given = [(image, *image.interval) for image in self.images if image.interval]
        if not given:
            return {}
        inside = [low <= image.true <= high for image, low, high in given]
        widths = [(high - low) / max(image.count, 1.0) for image, low, high in given]
        return {"interval": {"coverage": float(np.mean(inside)), "width": float(np.mean(widths))}}


def evaluate_counter(
    counter: EdgeCounter,
    samples: Sequence[Sample],
    *,
    candidates: EdgeCounter | None = None,
    kernels: Kernels | None = None,
    progress: Callable[[], None] | None = None,
    on_error: Callable[[Sample, Exception], None] | None = None,
) -> Evaluation:
    """Count annotated images; nothing as large as a map is kept.

    Where an image is annotated in a region alone, what lies outside is not counted.

    Args:
        counter: the model under test.
        samples: annotated images.
        candidates: the same model with a threshold near 0, whose points and boxes are ranked by
            their score for average precision; each image is then counted twice.
        kernels: Gaussians of the true density; None: those that the model was trained on, see
            :func:`kernels_of`.
        progress: called after each image.
        on_error: called with what reading or measuring an image raises; the image is left out.
            None: it is raised.

    Raises:
        ConfigError: there are no samples.
        SourceError: an image cannot be read, the message names it; or with `on_error` none can.
        BackendError: the engine failed.
    """
    if not samples:
        raise ConfigError("evaluation: expected at least one annotated image, got none")
    kernels = kernels or kernels_of(counter.manifest)
    density = counter.manifest.output("density")
    images = []
    with (
        closing(count_samples(counter, samples)) as counted,
        closing(_each_candidate(candidates, samples)) as ranked,
    ):
        for sample, result, candidate in zip(samples, counted, ranked, strict=True):
            try:
                record = _record(result(), sample, kernels, density.stride if density else 1)
                if candidate is not None and record.peak_count is not None:
                    ranks = rank(candidate(), sample, _radii(sample))
                    record = dataclasses.replace(record, ranked=ranks)
                images.append(record)
            except BackendError:
                raise
            except Exception as error:  # codecs raise anything
                if on_error is None:
                    raise
                on_error(sample, error)
            if progress:
                progress()
    if not images:
        raise SourceError(f"evaluation: none of the {len(samples)} images can be measured")
    return Evaluation(images, kernels if density else None)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _each_candidate(
    candidates: EdgeCounter | None, samples: Sequence[Sample]
) -> Generator[Counted | None, None, None]:
    """Yield what gives the candidates of each image; None where none are asked for."""
    if candidates is None:
        yield from repeat(None, len(samples))
        return
    with closing(count_samples(candidates, samples)) as counted:
        yield from counted


def _record(result: CountResult, sample: Sample, kernels: Kernels, stride: int) -> ImageRecord:
    record = ImageRecord(
        name=sample.name,
        path=sample.path,
        group=sample.group,
        true=len(sample.points),
        count=float(result.count),
        density_count=result.density_count,
        peak_count=result.peak_count,
        interval=result.interval,
    )
    true = points_by_region(sample.points, *result.size)
    values: dict[str, Any] = {}
    if result.density_count is not None:
        values |= _density_values(result, sample, true, kernels, stride)
    if result.peak_count is not None:
        values["game_of_points"] = tuple(game(points_by_region(result.points, *result.size), true))
        values["matched"] = _matches(result, sample)
        values["distances"] = pair_distances(result.points, sample.points)
    return dataclasses.replace(record, **values)


def _density_values(
    result: CountResult,
    sample: Sample,
    true: NDArray[np.float64],
    kernels: Kernels,
    stride: int,
) -> dict[str, Any]:
    grid, stride_xy = result.density, result.density_stride_xy
    shape = (grid.shape[0], grid.shape[1])
    width, height = result.size
    # The result is restricted to the annotated region, and so has the truth to be.
    region = sample.mask(height, width)
    target = true_density(
        sample.points,
        shape,
        stride_xy,
        width,
        height,
        stride=stride,
        kernels=kernels,
        region=region,
    )
    background, estimated = background_people(grid, target, stride)
    return {
        "game": tuple(game(density_by_region(grid, stride_xy, *result.size), true)),
        "background": background,
        "estimated": estimated,
        "tails": background_people(target, target, stride)[0],
        **map_quality(grid, target),
    }


def head_radii(sample: Sample) -> NDArray[np.float64]:
    """Return (N,) half the diagonal of each head's box, px; of a square if only sizes are known."""
    radii: NDArray[np.float64] = np.hypot(*_sides(sample)) / 2
    return radii


def _sides(sample: Sample) -> NDArray[np.float64]:
    """Return (2, N) widths and heights of the heads, px."""
    if sample.boxes is None:
        return np.stack([sample.sizes, sample.sizes]).astype(np.float64)
    sides: NDArray[np.float64] = (sample.boxes[:, 2:] - sample.boxes[:, :2]).astype(np.float64).T
    return sides


def _radii(sample: Sample) -> dict[str, NDArray[np.float64]]:
    """Return how far a point may be from each head to be its own, by rule.

    Half the diagonal and half the shorter side are NWPU-Crowd's sigma_l and sigma_s.
    """
    rules = {"box": head_radii(sample), "short_side": _sides(sample).min(axis=0) / 2}
    return rules | {str(radius): np.full(len(sample.points), float(radius)) for radius in RADII}


def _matches(result: CountResult, sample: Sample) -> dict[str, int]:
    found = result.points[:, :2]
    return {
        rule: match_points(found, sample.points, radii) for rule, radii in _radii(sample).items()
    }
