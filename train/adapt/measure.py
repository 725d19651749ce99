"""Counts of images by the counter that users call, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecount.manifest import Manifest
from edgecount.train.adapt.evidence import standard_error
from edgecount.train.data.sample import Sample
from edgecount.train.data.scenes import render_samples
from edgecount.train.evaluate.counting import count_sample
from edgecount.train.evaluate.torch_backend import counter_for
from edgecount.train.models.base import Network
from edgecount.train.postprocess.interval import CountedImage

CHECKED = 12  # rendered scenes that are counted before and after
CHECK_SEED = 4_117  # of none that train
LOST = 1.25  # times the error before from which on abilities are lost


def count_all(
    network: Network, manifest: Manifest, samples: Sequence[Sample]
) -> list[CountedImage]:
    """Count images as the model's users will."""
    if not samples:
        return []
    with counter_for(network, manifest) as counter:
        results = [count_sample(counter, sample) for sample in samples]
    return [
        CountedImage(float(result.count), _difference(result), float(len(sample.points)))
        for result, sample in zip(results, samples, strict=True)
    ]


def _difference(result: object) -> float:
    density, points = (getattr(result, name) for name in ("density_count", "peak_count"))
    return 0.0 if density is None or points is None else float(density - points)


@dataclass(frozen=True)
class EmptyPictures:
    """People seen where nobody is.

    Attributes:
        images: number of pictures.
        before: people per megapixel by the source model.
        after: by networks that had not seen the picture.
    """

    images: int
    before: float
    after: float


def per_megapixel(counted: Sequence[CountedImage], samples: Sequence[Sample]) -> float:
    """Return the people counted in pictures, over their area in megapixels as they are counted."""
    pixels = sum(float(image.shape[0] * image.shape[1]) for image in (s.image() for s in samples))
    return sum(one.count for one in counted) / pixels * 1e6


@dataclass(frozen=True)
class Abilities:
    """Errors on rendered scenes of other places and densities, as shares of the people.

    Attributes:
        scenes: number of scenes.
        before: by the source model.
        after: by the adapted one.
        lost: whether the error rose by a quarter and by more than chance.
    """

    scenes: int
    before: float
    after: float
    lost: bool


def check_scenes(folder: Path) -> list[Sample]:
    """Render the scenes that abilities are checked on; no training sees them."""
    return render_samples(folder, CHECKED, CHECK_SEED)


def compare_abilities(before: Sequence[CountedImage], after: Sequence[CountedImage]) -> Abilities:
    """Compare two models' counts of the same scenes."""
    first, second = (np.array([abs(one.count - one.true) for one in c]) for c in (before, after))
    people = max(sum(one.true for one in before), 1.0)
    risen = second - first
    lost = second.sum() > LOST * first.sum() and risen.mean() > standard_error(risen)
    return Abilities(
        len(first), float(first.sum() / people), float(second.sum() / people), bool(lost)
    )
