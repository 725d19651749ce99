"""Parts of a few images that are left out in turn, so that neighbours are left out together.

Two frames of a video that are a second apart show the same people: a model that was trained on one
of them knows the other. So whole clips are left out, or runs of neighbours where there are too few
clips.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Sample

FOLDS = 4
_UNEVEN = 1.5  # times its share of the images that the largest fold of whole clips may have
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Fold:
    """Numbers of the images that one training sees, and of those that measure it."""

    trained: tuple[int, ...]
    held: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """The trainings of an adaptation.

    Attributes:
        folds: their networks together are the adapted model; no image is held out by two.
        few: those on a small part of the images, which show what more images are worth.
    """

    folds: tuple[Fold, ...]
    few: tuple[Fold, ...]


def clips(samples: Sequence[Sample]) -> list[list[int]]:
    """Group images by folder and by name but for its last number; neighbours in order.

    Returns:
        Numbers of the samples, clip by clip, sorted by the numbers in their names.
    """
    order = sorted(range(len(samples)), key=lambda index: _key(samples[index]))
    found: dict[tuple[str, str], list[int]] = {}
    for index in order:
        path = samples[index].path
        found.setdefault((str(path.parent), path.stem.rstrip("0123456789")), []).append(index)
    return list(found.values())


def _key(sample: Sample) -> tuple[str, list[tuple[int, str]]]:
    """Sort names with 2 before 10."""
    parts = _DIGITS.split(sample.path.stem)
    return str(sample.path.parent), [
        (int(part), "") if part.isdecimal() else (-1, part) for part in parts
    ]


def parts(samples: Sequence[Sample], number: int) -> list[list[int]]:
    """Split images into parts of whole clips, or of neighbours where clips are few or uneven.

    Args:
        samples: images of one camera, in any order.
        number: of parts, at most one per image.
    """
    found = clips(samples)
    whole: list[list[int]] = [[] for _ in range(number)]
    for clip in sorted(found, key=len, reverse=True):
        min(whole, key=len).extend(clip)
    if min(map(len, whole)) and max(map(len, whole)) <= _UNEVEN * len(samples) / number:
        return whole
    row = [index for clip in found for index in clip]
    ends = [len(row) * part // number for part in range(number + 1)]
    return [row[start:stop] for start, stop in itertools.pairwise(ends)]


def cross_folds(samples: Sequence[Sample]) -> Plan:
    """Leave each of :data:`FOLDS` parts out once; two of them are trained on alone."""
    split = parts(samples, min(FOLDS, len(samples)))
    everything = set(range(len(samples)))
    folds = [Fold(tuple(sorted(everything - set(part))), tuple(part)) for part in split]
    # Together the two measure every image; they are not neighbours.
    alone = (split[0], split[len(split) // 2])
    few = [Fold(tuple(part), tuple(sorted(everything - set(part)))) for part in alone]
    return Plan(tuple(folds), tuple(few))


def single_fold(samples: Sequence[Sample], share: float) -> Plan:
    """Leave out the last clips, or the last run of neighbours, up to a share of the images.

    Raises:
        ConfigError: the share makes no sense, or leaves too few images on either side.
    """
    if not 0 < share < 1:
        raise ConfigError(f"holdout: expected a share between 0 and 1, got {share}")
    number = round(len(samples) * share)
    if not 3 <= number <= len(samples) - 3:
        raise ConfigError(
            f"holdout: expected at least 3 images held out and 3 to train on, got {number} of "
            f"{len(samples)}: leave it away, and every image is held out once"
        )
    row = [index for clip in clips(samples) for index in clip]
    trained, held = row[:-number], tuple(row[-number:])
    few = tuple(trained[: max(len(trained) // 3, 1)])
    return Plan((Fold(tuple(trained), held),), (Fold(few, held),))
