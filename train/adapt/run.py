"""`adapt`: trainings on parts of a few images, their mean, and what the images left out say."""

from __future__ import annotations

import dataclasses
import logging
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgecount.errors import ConfigError
from edgecount.manifest import InputSpec, PostprocessSpec
from edgecount.train.adapt.evidence import LearningCurve, compare, learning_curve
from edgecount.train.adapt.folds import Plan, close_to_training, cross_folds, single_fold
from edgecount.train.adapt.measure import (
    EmptyPictures,
    check_scenes,
    compare_abilities,
    count_all,
    per_megapixel,
)
from edgecount.train.adapt.outcome import Adaptation, Intervals, adapted_manifest
from edgecount.train.adapt.refit import refit
from edgecount.train.adapt.trainings import Camera, LeftOut, Tuner, leave_out
from edgecount.train.adapt.tune import mean_of, training_scenes, tuning_config
from edgecount.train.data.assemble import fitted
from edgecount.train.data.identical import first_of_each
from edgecount.train.data.sample import Sample
from edgecount.train.open_trainable import open_trainable
from edgecount.train.postprocess.interval import CountedImage
from edgecount.train.postprocess.rescale import (
    can_fit,
    check_interval,
    check_rescaled,
    rescale,
)

log = logging.getLogger(__name__)

FEWEST = 5  # images with people: of fewer, none can be left out


def adapt(
    model: str | Path,
    samples: Sequence[Sample],
    *,
    negatives: Sequence[Sample] = (),
    steps: int = 360,
    holdout: float | None = None,
    learning_rate: float = 3e-4,
    seed: int = 0,
    scenes: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Adaptation:
    """Fine-tune a model; nothing is written.

    Each quarter of the images is left out of one training, and measures it; the adapted model is
    the mean of the four networks. Two more trainings, on a quarter alone, show how the error falls
    with the number of images. Images whose names have times within minutes are left out together,
    in fewer parts if need be. Batch norms are folded into the convolutions first: a few images are
    too few for statistics of their own.

    Args:
        model: a bundled name, an .onnx of ``edgecount export``, or a checkpoint.
        samples: annotated images, :data:`FEWEST` with people at least.
        negatives: more images, without people.
        steps: optimiser steps of four crops, of all trainings together.
        holdout: share of the images that are left out of everything, in place of each quarter in
            turn: one training, and fewer images that measure it.
        learning_rate: the peak learning rate.
        seed: seed of the crops and of the scenes that are mixed in.
        scenes: folder that keeps the rendered scenes for the next adaptation.
        progress: called with the number of steps just done.

    Raises:
        ConfigError: too few images, or an option makes no sense.
        ModelError: the model's weights cannot be taken up again.
    """
    if not 0 < learning_rate < math.inf:
        raise ConfigError(f"learning_rate: expected a number above 0, got {learning_rate}")
    network, manifest, objective = open_trainable(model, tell=True)
    camera = sort_images(samples, negatives, manifest.input)
    plan = make_plan(camera.occupied, holdout)
    each = max(steps // (len(plan.folds) + len(plan.few)), 1)
    # A few pictures of one place would bend what the backbone knows of all places.
    frozen = (network.pretrained,) if network.pretrained else ()
    config = tuning_config(manifest.name, objective, each, learning_rate, frozen)
    config = dataclasses.replace(config, seed=seed)
    with tempfile.TemporaryDirectory(prefix="edgecount-adapt-") as temporary:
        folder = scenes or Path(temporary)
        rendered = training_scenes(folder / "training", seed)
        tuner = Tuner(network, manifest, config, rendered, progress)
        seen = leave_out(tuner, plan, camera)
        return _conclude(tuner, plan, camera, seen, check_scenes(folder / "check"))


def sort_images(samples: Sequence[Sample], negatives: Sequence[Sample], spec: InputSpec) -> Camera:
    """Sort images into those with people and those without, at the size that they are counted at.

    Args:
        samples: annotated images.
        negatives: images without people.
        spec: the model's input; larger images are shrunk to its ``max_side`` and ``static_size``.

    Raises:
        ConfigError: an image of the negatives has people.
    """
    annotated = [sample for sample in negatives if len(sample.points)]
    if annotated:
        raise ConfigError(
            f"negatives: expected pictures without people, {annotated[0].path} has "
            f"{len(annotated[0].points)} annotated"
        )
    given = [
        fitted(sample, spec.max_side, static_size=spec.static_size)
        for sample in (*samples, *negatives)
    ]
    occupied = [sample for sample in given if len(sample.points)]
    return Camera(occupied, [sample for sample in given if not len(sample.points)])


def make_plan(occupied: Sequence[Sample], holdout: float | None) -> Plan:
    """Choose what each training sees.

    Raises:
        ConfigError: there are fewer than :data:`FEWEST` images, or the share makes no sense.
    """
    copies = len(occupied) - len(set(first_of_each([sample.path for sample in occupied])))
    if len(occupied) - copies < FEWEST:
        also = f", {copies} of which are the same file as another" if copies else ""
        raise ConfigError(
            f"adapt: expected at least {FEWEST} annotated images with people, got "
            f"{len(occupied)}{also}: annotate more, of different hours and crowds"
        )
    if copies:
        log.info("%d pictures are the same file as another: they are left out together", copies)
    return cross_folds(occupied) if holdout is None else single_fold(occupied, holdout)


def _conclude(
    tuner: Tuner, plan: Plan, camera: Camera, seen: LeftOut, scenes: Sequence[Sample]
) -> Adaptation:
    """Compare the counts of images left out with the source model's, and fit what follows."""
    network, manifest = mean_of(seen.networks), tuner.manifest
    order = sorted(seen.counted)  # of the images that measure
    folds = [fold.held for fold in plan.folds]
    source = count_all(tuner.network, manifest, [camera.occupied[index] for index in order])
    post = manifest.postprocess
    fitted_anew = refit(seen.observed, folds, post)
    counted, few = seen.counted, seen.few
    if fitted_anew is not None:
        post, counted = fitted_anew.spec, fitted_anew.counted
        few = fitted_anew.errors_of(seen.observed_by_few)
    after = [counted[index] for index in order]
    intervals = _intervals(source, after, _places(folds, order), manifest.postprocess)
    if post.interval is not None:
        post = dataclasses.replace(post, interval=rescale(post.interval, after))
    deployed = dataclasses.replace(manifest, postprocess=post)
    done = Adaptation(
        network=network,
        manifest=deployed,
        errors=compare(_errors(source), _errors(after)),
        curve=_curve(plan, [few[index] for index in order], _errors(after)),
        trained=len({index for fold in plan.folds for index in fold.trained}),
        held_out=tuple(camera.occupied[index].name for index in order),
        refitted=fitted_anew is not None,
        abilities=compare_abilities(
            count_all(tuner.network, manifest, scenes), count_all(network, deployed, scenes)
        ),
        intervals=intervals,
        empty=_empty(tuner, camera, seen),
        close=close_to_training(camera.occupied, plan.folds),
    )
    steps = tuner.config.steps * len(plan.folds)
    return dataclasses.replace(done, manifest=adapted_manifest(done, manifest, steps))


def _curve(plan: Plan, few: Sequence[float], most: Sequence[float]) -> LearningCurve:
    sizes = [
        float(np.mean([len(fold.trained) for fold in folds])) for folds in (plan.few, plan.folds)
    ]
    return learning_curve(sizes[0], few, sizes[1], most)


def _intervals(
    source: Sequence[CountedImage],
    after: Sequence[CountedImage],
    folds: Sequence[Sequence[int]],
    post: PostprocessSpec,
) -> Intervals | None:
    spec = post.interval
    if spec is None:
        return None
    return Intervals(
        spec.coverage,
        check_interval(spec, source),
        check_rescaled(spec, after, folds),
        kept=not can_fit(spec, after),
    )


def _places(folds: Sequence[Sequence[int]], order: Sequence[int]) -> list[list[int]]:
    """Return folds as places in the order."""
    return [[order.index(index) for index in fold] for fold in folds]


def _empty(tuner: Tuner, camera: Camera, seen: LeftOut) -> EmptyPictures | None:
    if not seen.empty:
        return None
    measured = [camera.empty[index] for index in seen.empty]
    before = count_all(tuner.network, tuner.manifest, measured)
    return EmptyPictures(
        len(measured),
        per_megapixel(before, measured),
        per_megapixel(list(seen.empty.values()), measured),
    )


def _errors(counted: Sequence[CountedImage]) -> list[float]:
    return [abs(one.count - one.true) for one in counted]
