"""The trainings of an adaptation, each measured on the images that it did not see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgecount.manifest import Manifest
from edgecount.train.adapt.folds import FOLDS, Fold, Plan, parts
from edgecount.train.adapt.measure import count_all
from edgecount.train.adapt.refit import FEWEST, can_refit
from edgecount.train.adapt.tune import Pictures, fine_tune
from edgecount.train.config import TrainConfig
from edgecount.train.data.sample import Sample
from edgecount.train.models.base import Network
from edgecount.train.postprocess.fusion import Observation, observe_sample
from edgecount.train.postprocess.interval import CountedImage


@dataclass(frozen=True)
class Camera:
    """The annotated images of one camera.

    Attributes:
        occupied: those with people.
        empty: those without.
    """

    occupied: Sequence[Sample]
    empty: Sequence[Sample] = ()


@dataclass(frozen=True)
class LeftOut:
    """The counts of images by networks that had not seen them.

    Attributes:
        networks: the networks of the folds.
        counted: number of an image with people to its count.
        observed: to its maps' sums, where threshold and blend may be fitted anew.
        few: to its mean absolute error by the trainings on few images.
        observed_by_few: to the maps' sums of each of these trainings, as ``observed``.
        empty: number of an image without people to its count.
    """

    networks: list[Network] = field(default_factory=list)
    counted: dict[int, CountedImage] = field(default_factory=dict)
    observed: dict[int, Observation] = field(default_factory=dict)
    few: dict[int, float] = field(default_factory=dict)
    observed_by_few: dict[int, list[Observation]] = field(default_factory=dict)
    empty: dict[int, CountedImage] = field(default_factory=dict)


@dataclass(frozen=True)
class Tuner:
    """A source model, and how copies of it are fine-tuned.

    Attributes:
        network: without batch norms.
        manifest: its manifest.
        config: settings of each training; each has a seed of its own.
        rendered: scenes that are mixed into the training.
        progress: called with the number of steps just done.
    """

    network: Network
    manifest: Manifest
    config: TrainConfig
    rendered: Sequence[Sample]
    progress: Callable[[int], None] | None = None

    def tune(self, occupied: Sequence[Sample], empty: Sequence[Sample], number: int) -> Network:
        """Return a copy that was fine-tuned, by the training of this number."""
        config = dataclasses.replace(self.config, seed=self.config.seed * 100 + number)
        pictures = Pictures(occupied, empty, self.rendered)
        return fine_tune(self.network, config, pictures, self.progress)


def leave_out(tuner: Tuner, plan: Plan, camera: Camera) -> LeftOut:
    """Run the trainings of a plan and count what each has not seen."""
    found = LeftOut()
    held_empty = _empty_parts(camera.empty, len(plan.folds))
    for number, (fold, nobody) in enumerate(zip(plan.folds, held_empty, strict=True)):
        rest = [one for index, one in enumerate(camera.empty) if index not in {*nobody}]
        network = tuner.tune(_chosen(camera.occupied, fold.trained), rest, number)
        _measure(found, tuner.manifest, network, camera, fold, nobody)
    errors: dict[int, list[float]] = {}
    for number, fold in enumerate(plan.few, len(plan.folds)):
        network = tuner.tune(_chosen(camera.occupied, fold.trained), camera.empty, number)
        held = _chosen(camera.occupied, fold.held)
        counted = count_all(network, tuner.manifest, held)
        for index, one in zip(fold.held, counted, strict=True):
            errors.setdefault(index, []).append(abs(one.count - one.true))
        if _may_refit(tuner.manifest, camera):
            for index, seen in zip(
                fold.held, _observed(network, tuner.manifest, held), strict=True
            ):
                found.observed_by_few.setdefault(index, []).append(seen)
    found.few.update({index: float(np.mean(values)) for index, values in errors.items()})
    return found


def _measure(
    found: LeftOut,
    manifest: Manifest,
    network: Network,
    camera: Camera,
    fold: Fold,
    nobody: Sequence[int],
) -> None:
    found.networks.append(network)
    held = _chosen(camera.occupied, fold.held)
    found.counted.update(zip(fold.held, count_all(network, manifest, held), strict=True))
    without = count_all(network, manifest, _chosen(camera.empty, nobody))
    found.empty.update(zip(nobody, without, strict=True))
    if _may_refit(manifest, camera):
        found.observed.update(zip(fold.held, _observed(network, manifest, held), strict=True))


def _may_refit(manifest: Manifest, camera: Camera) -> bool:
    return len(camera.occupied) >= FEWEST and can_refit(manifest.postprocess)


def _observed(
    network: Network, manifest: Manifest, samples: Sequence[Sample]
) -> Iterator[Observation]:
    fusion = manifest.postprocess.fusion
    grid = 0 if fusion is None else fusion.grid
    return (observe_sample(network, sample, grid=grid) for sample in samples)


def _empty_parts(empty: Sequence[Sample], folds: int) -> list[list[int]]:
    """Return the numbers of the pictures without people that each fold leaves out, if any."""
    if folds == 1 and len(empty) < FOLDS:
        return [[]]  # left out, so few would not be trained on at all
    number = min(FOLDS if folds == 1 else folds, len(empty))
    split = parts(empty, number) if number else []
    if folds == 1:
        return [min(split, key=len)]
    return [*split, *([] for _ in range(folds - len(split)))]


def _chosen(samples: Sequence[Sample], numbers: Sequence[int]) -> list[Sample]:
    return [samples[number] for number in numbers]
