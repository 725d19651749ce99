"""Parts of a few images that are left out in turn, so that neighbours are left out together.

Two frames of a video that are a second apart show the same people: a model that was trained on one
of them knows the other. So whole clips are left out, or runs of neighbours where there are too few
clips. Pictures whose names have a time are a clip while each follows the one before within minutes,
and such clips are kept whole where it can be: then there are fewer parts instead. Pictures of the
very same bytes are never on two sides.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import ConfigError
from edgecount.train.adapt.copies import originals
from edgecount.train.adapt.moments import Moment, moment_of
from edgecount.train.data.identical import first_of_each
from edgecount.train.data.sample import Sample

FOLDS = 4
_UNEVEN = 1.5  # times its share of the images that the largest fold of whole clips may have
# Of the images, that one part of whole clips of known times may have: what is left to train on has
# to be enough to tell how good the model gets.
_LARGEST = 2 / 3
_DIGITS = re.compile(r"(\d+)")

_Name = list[tuple[int, str]]
_Key = tuple[bool, str, float, _Name]


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
    """Group images that belong together; neighbours in order.

    Names with a time are grouped by it, whatever their folders: each picture of a clip follows the
    one before within minutes. Others are by folder and by name but for its last number. Copies, by
    their names or their bytes, go with their originals.

    Returns:
        Numbers of the samples, clip by clip, sorted by times, or by the numbers in their names.
    """
    firsts = _originals(samples)
    moments = [moment_of(first.name) for first in firsts]

    def key(index: int) -> tuple[_Key, _Name]:
        return _key(firsts[index], moments[index]), _numbered(samples[index].path.stem)

    order = sorted(range(len(samples)), key=key)
    found: list[list[int]] = []
    named: dict[tuple[str, str], list[int]] = {}
    last: Moment | None = None
    for index in order:
        moment, first = moments[index], firsts[index]
        if moment is not None:
            if last is None or not moment.close_to(last):
                found.append([])
            found[-1].append(index)
        else:
            name = str(first.parent), first.name.rstrip("0123456789")
            if name not in named:
                found.append(named.setdefault(name, []))
            named[name].append(index)
        last = moment
    return found


def _moments(samples: Sequence[Sample]) -> list[Moment | None]:
    return [moment_of(first.name) for first in _originals(samples)]


def _originals(samples: Sequence[Sample]) -> list[Path]:
    """Return of each picture the path, without suffix, of the one that it is a copy of, or its own.

    Copies by name and copies by bytes are one group, and so are the copies of copies; of a group
    one with a time in its name comes first.
    """
    paths = [sample.path for sample in samples]
    found = originals(paths)
    alike: dict[int, list[Path]] = {}
    united = _united(found, first_of_each(paths))
    for first, path in zip(united, found, strict=True):
        alike.setdefault(first, []).append(path)
    chosen = {
        first: min(group, key=lambda path: (moment_of(path.name) is None, path))
        for first, group in alike.items()
    }
    return [chosen[first] for first in united]


def _united(*relations: Sequence[Hashable]) -> list[int]:
    """Return of each item the first of its group: those alike in any relation, through others too.

    Args:
        relations: of each item what it shares with those that are like it.
    """
    above = list(range(len(relations[0])))

    def first(index: int) -> int:
        while above[index] != index:
            above[index] = index = above[above[index]]
        return index

    for relation in relations:
        known: dict[Hashable, int] = {}
        for index, shared in enumerate(relation):
            one, other = first(known.setdefault(shared, index)), first(index)
            above[max(one, other)] = min(one, other)
    return [first(index) for index in above]


def _key(first: Path, moment: Moment | None) -> _Key:
    """Sort by times, and names with 2 before 10."""
    if moment is None:
        return False, str(first.parent), 0.0, _numbered(first.name)
    return True, moment.camera, moment.second, _numbered(first.name)


def _numbered(stem: str) -> _Name:
    parts = _DIGITS.split(stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def parts(samples: Sequence[Sample], number: int) -> list[list[int]]:
    """Split images into parts of whole clips, or of neighbours where clips are few or uneven.

    Args:
        samples: images of one camera, in any order.
        number: of parts, at most one per image.

    Returns:
        As many parts; fewer, but two at least, where names have times and the clips are too few.
    """
    found = clips(samples)
    whole = _dealt(found, number)
    if min(map(len, whole)) and max(map(len, whole)) <= _UNEVEN * len(samples) / number:
        return whole
    if any(_moments(samples)):
        for fewer in range(number, 1, -1):
            whole = _dealt(found, fewer)
            if min(map(len, whole)) and max(map(len, whole)) <= _LARGEST * len(samples):
                return whole
    row = [index for clip in found for index in clip]
    ends = _ends(_free(samples, row), len(row), number)
    return [row[start:stop] for start, stop in itertools.pairwise(ends)]


def _free(samples: Sequence[Sample], row: Sequence[int]) -> list[int]:
    """Return the places at which a row can be cut so that no copies are apart.

    Where copies by name are most of the row, files of the same bytes alone stay together.
    """
    paths = [samples[index].path for index in row]
    same = first_of_each(paths)
    free = _between(_united(originals(paths), same))
    longest = max((stop - start for start, stop in itertools.pairwise([0, *free])), default=0)
    return free if longest <= _LARGEST * len(row) else _between(same)


def _between(firsts: Sequence[int]) -> list[int]:
    """Return the places at which a row can be cut so that no group is divided, its end with them.

    Args:
        firsts: of each item the first of its group.
    """
    last = {first: place for place, first in enumerate(firsts)}
    reach = itertools.accumulate((last[first] for first in firsts), max)
    return [place + 1 for place, furthest in enumerate(reach) if furthest == place]


def _ends(free: Sequence[int], length: int, number: int) -> list[int]:
    """Return where a row of this length is cut into parts of about one size, fewer if need be."""
    ends = [0]
    for part in range(1, number):
        # As many places are left as there are parts to come, or all that there are.
        later = [place for place in free if place > ends[-1]]
        later = later[: max(len(later) - (number - part), 0)]
        if later:
            ends.append(min(later, key=lambda place: abs(place - length * part // number)))
    return [*ends, length]


def _dealt(found: Sequence[list[int]], number: int) -> list[list[int]]:
    """Deal clips out to parts of about the same size, some of them empty where clips are few."""
    whole: list[list[int]] = [[] for _ in range(number)]
    for clip in sorted(found, key=len, reverse=True):
        min(whole, key=len).extend(clip)
    return whole


def cross_folds(samples: Sequence[Sample]) -> Plan:
    """Leave each of :data:`FOLDS` parts out once, or of fewer; two of them are trained on alone."""
    split = parts(samples, min(FOLDS, len(samples)))
    everything = set(range(len(samples)))
    folds = [Fold(tuple(sorted(everything - set(part))), tuple(part)) for part in split]
    # Together the two measure every image; of four parts they are not neighbours.
    alone = (split[0], split[len(split) // 2])
    # Of two parts each is all that a fold trains on: half of it is fewer.
    shared = 2 if len(split) == 2 else 1
    few = [
        Fold(tuple(part[: max(len(part) // shared, 1)]), tuple(sorted(everything - set(part))))
        for part in alone
    ]
    return Plan(tuple(folds), tuple(few))


def single_fold(samples: Sequence[Sample], share: float) -> Plan:
    """Leave out the last clips, or the last run of neighbours, up to a share of the images.

    Where names have times the share is the nearest one that divides no clip.

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
    number = _between_clips(samples, row, number)
    trained, held = row[:-number], tuple(row[-number:])
    few = tuple(trained[: max(len(trained) // 3, 1)])
    return Plan((Fold(tuple(trained), held),), (Fold(few, held),))


def _between_clips(samples: Sequence[Sample], row: Sequence[int], number: int) -> int:
    """Return how many to leave out, about as many as asked for, so that no clip is divided."""
    moments = _moments(samples)
    free = {*_free(samples, row)}

    def divides(held: int) -> bool:
        if len(row) - held not in free:
            return True
        before, after = (moments[index] for index in (row[-held - 1], row[-held]))
        return before is not None and after is not None and before.close_to(after)

    most = min(len(row) - 3, int(_LARGEST * len(row)))
    whole = [held for held in range(3, max(most, number) + 1) if not divides(held)]
    return min(whole, key=lambda held: abs(held - number), default=number)


def close_to_training(samples: Sequence[Sample], folds: Sequence[Fold]) -> int:
    """Return how many images are left out by trainings on others that may show the same people.

    Only names with a time tell it.
    """
    moments = _moments(samples)
    found = 0
    for fold in folds:
        trained = [moment for index in fold.trained if (moment := moments[index])]
        held = (moments[index] for index in fold.held)
        found += sum(one is not None and any(map(one.close_to, trained)) for one in held)
    return found
