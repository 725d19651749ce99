"""The result of an adaptation, and the manifest that carries it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgecount.manifest import Manifest
from edgecount.train.adapt.evidence import Comparison, LearningCurve
from edgecount.train.adapt.measure import Abilities, EmptyPictures
from edgecount.train.manifest import version_of
from edgecount.train.models.base import Network
from edgecount.train.postprocess.rescale import IntervalCheck


@dataclass(frozen=True)
class Intervals:
    """The interval before and after, on images that neither network nor interval had seen.

    The width after is that of the adapted model's own interval, which all images have set.

    Attributes:
        asked: share of pictures that is to be inside.
        before: the source model's.
        after: the adapted one's.
        kept: True if the images were too few to fit it, so that it is the source's, or wider.
    """

    asked: float
    before: IntervalCheck
    after: IntervalCheck
    kept: bool


@dataclass(frozen=True)
class Adaptation:
    """The result of fine-tuning a model.

    Attributes:
        network: the network with its averaged weights, batch norms folded.
        manifest: manifest of the adapted model.
        errors: errors of the images with people that were left out, before and after.
        curve: errors by the number of images trained on.
        trained: number of images with people trained on.
        held_out: names of the images that were left out of a training and measured it.
        refitted: True if threshold and blend were fitted anew.
        abilities: errors on rendered scenes before and after.
        intervals: coverage and width; None: the source model has no interval.
        empty: pictures without people before and after; None: none was measured.
        close: number of the images left out that show the people of images trained on, by the times
            in their names.
    """

    network: Network
    manifest: Manifest
    errors: Comparison
    curve: LearningCurve
    trained: int
    held_out: tuple[str, ...]
    refitted: bool
    abilities: Abilities
    intervals: Intervals | None
    empty: EmptyPictures | None
    close: int = 0

    @property
    def before(self) -> float:
        """Return the mean absolute error of the counts before."""
        return self.errors.before

    @property
    def after(self) -> float:
        """Return that error after fine-tuning."""
        return self.errors.after

    @property
    def better(self) -> bool:
        """Return whether the model is the one to choose, sure (``errors.verdict``) or not."""
        return self.errors.likely_better

    def numbers(self) -> dict[str, Any]:
        """Return what was measured as plain JSON types."""
        found: dict[str, Any] = {
            "before": self.before,
            "after": self.after,
            "noise": self.errors.noise,
            "verdict": self.errors.verdict,
            "trained": self.trained,
            "held_out": list(self.held_out),
            "close": self.close,
            "learning_curve": dataclasses.asdict(self.curve),
            "refitted": self.refitted,
            "scenes": dataclasses.asdict(self.abilities),
        }
        if self.intervals:
            found["interval"] = dataclasses.asdict(self.intervals)
        if self.empty:
            found["empty"] = dataclasses.asdict(self.empty)
        return found


def adapted_manifest(done: Adaptation, source: Manifest, steps: int) -> Manifest:
    """Return the manifest of the adapted model: the source's, with its own name and numbers.

    Args:
        done: the result, with the manifest that has the postprocessing.
        source: the source model's manifest.
        steps: optimiser steps behind the mean network.
    """
    images, after = len(done.held_out), round(done.after, 3)
    record: dict[str, Any] = {
        "images": done.trained,
        "steps": steps,
        "held_out_mae": {"images": images, "before": round(done.before, 3), "after": after},
        "standard_error": round(done.errors.noise, 3),
        "rendered_scenes": dataclasses.asdict(done.abilities),
    }
    # Those of before were measured with the old weights.
    measured: dict[str, Any] = {"images": images, "mae": after}
    if done.intervals:
        measured["coverage"] = round(done.intervals.after.coverage, 3)
        measured["width"] = round(done.intervals.after.width, 2)
    history = {"network": {"name": source.name}, **source.training, "adapted": record}
    history["metrics"] = {"held out": measured}
    return dataclasses.replace(
        done.manifest,
        name=f"{source.name.removesuffix('-adapted')}-adapted",
        version=version_of(done.network),
        training=history,
    )
