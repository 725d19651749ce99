"""Held-out images that are drawn from a set, and the record of them in a run's checkpoints.

A draw from the files of a folder changes with the folder: pictures that are added later would hold
out what was trained on. So a run keeps the names of those that it holds out, and they are held out
when it goes on and when it is measured.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecount._typed import build
from edgecount.errors import ConfigError, ModelError
from edgecount.train.config import DataConfig, TrainConfig
from edgecount.train.data.identical import first_of_each
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import SEED, hold_out, hold_out_fold, split

log = logging.getLogger(__name__)

KEY = "held_out"
"""Place of the records in a checkpoint."""

_SIZE = "held_out_size"  # a key of configs since there are records

Parts = tuple[list[Sample], list[Sample]]


@dataclass(frozen=True)
class Record:
    """The images of a set that a run holds out.

    Attributes:
        files: their paths from the set's folder on.
        images: number of images that the set had, with those that are trained on.
    """

    files: tuple[str, ...]
    images: int


def records_in(state: Mapping[str, Any]) -> dict[str, Record]:
    """Return the records of a checkpoint by the names of the sets; {} where it has none.

    Raises:
        ModelError: the checkpoint holds something else.
    """
    found = state.get(KEY, {})
    try:
        return {str(name): build(Record, values, KEY) for name, values in dict(found).items()}
    except (ConfigError, TypeError, ValueError) as error:
        raise ModelError(f"the checkpoint's {KEY}: {error}") from None


def records_to_dict(records: Mapping[str, Record]) -> dict[str, Any]:
    """Return plain values that :func:`records_in` reads back."""
    return {name: dataclasses.asdict(record) for name, record in records.items()}


def is_of_older_code(state: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is of code that kept no record and drew by the files' order."""
    return KEY not in state and _SIZE not in state.get("config", {})


def as_begun(config: TrainConfig, state: Mapping[str, Any]) -> TrainConfig:
    """Return a config with what a run of older code had no choice of, from its checkpoint."""
    if _SIZE in state.get("config", {}):
        return config
    return dataclasses.replace(config, held_out_size="trained")


def is_recorded(entry: DataConfig) -> bool:
    """Return whether the held-out images of a set may be others when it is read again."""
    return bool(entry.holdout or entry.folds) or entry.split.endswith(".txt")


def record_of(samples: Sequence[Sample], held: Sequence[Sample], root: Path) -> Record:
    """Return the record of images that are held out of a set in this folder."""
    return Record(tuple(sorted(_place(sample, root) for sample in held)), len(samples))


def take(samples: Sequence[Sample], entry: DataConfig, record: Record, root: Path) -> Parts:
    """Split a set as a run has split it before; images that have come since are not held out."""
    files = set(record.files)
    places = [_place(sample, root) for sample in samples]
    lost, more = files - set(places), len(samples) - record.images
    if lost:
        log.warning(
            "%s: %d of the %d images that the run holds out %s not there any more, first %s",
            entry.name,
            len(lost),
            len(files),
            "is" if len(lost) == 1 else "are",
            min(lost),
        )
    _tell_what_came(entry, more + len(lost))
    if entry.split:
        _tell_of_list(samples, entry, files - lost, root)
    return _parted(samples, [place in files for place in places])


def _tell_what_came(entry: DataConfig, number: int) -> None:
    """Warn of images that the set did not have when the run began."""
    if number > 0:
        log.warning(
            "%s: %s come since the run began: %s held out%s",
            entry.name,
            "1 image has" if number == 1 else f"{number} images have",
            "it is not" if number == 1 else "none of them is",
            f", and a resumed run trains on {'it' if number == 1 else 'them'}"
            if entry.weight
            else "",
        )


def _tell_of_list(
    samples: Sequence[Sample], entry: DataConfig, files: Collection[str], root: Path
) -> None:
    """Warn where the list of a set names other images now than when the run began."""
    try:
        listed = split(samples, entry.split, entry.exclude)[1]
    except ConfigError:
        change = "is gone, or names images that are not there"
    else:
        if {_place(sample, root) for sample in listed} == files:
            return
        change = "has changed"
    log.warning("%s: the list %s: what it named when the run began is held out", entry.name, change)


def draw_by_order(samples: Sequence[Sample], entry: DataConfig) -> Parts:
    """Draw from the files in their order, as runs without a record have done."""
    if entry.folds:
        parts = hold_out_fold(samples, entry.fold, entry.folds)
    else:
        parts = hold_out(samples, _number(samples, entry))
    log.warning(
        "%s: the checkpoint is of an older version, which kept no record of what it held out: if "
        "images came or went since it began, some of the %d held out now were trained on",
        entry.name,
        len(parts[1]),
    )
    return parts


def draw(samples: Sequence[Sample], entry: DataConfig, root: Path) -> Parts:
    """Draw the held-out images of a set; files with the same bytes are on one side.

    A share is drawn by a digest of the files' names, so that pictures that are added or removed
    hardly change what is drawn of the others. Parts (``folds``) are those of
    :func:`edgecount.train.data.splits.hold_out_fold`, and copies go with the first by name.

    Args:
        samples: the set's images, in any order.
        entry: its entry, with a share or parts.
        root: the set's folder.

    Raises:
        ConfigError: there are fewer images than parts.
    """
    places = [_place(sample, root) for sample in samples]
    order = sorted(range(len(samples)), key=places.__getitem__)
    firsts = first_of_each([samples[index].path for index in order])
    copies = sum(first != index for index, first in enumerate(firsts))
    if copies:
        log.info(
            "%s: %d images are the same file as another: they are held out or trained on together",
            entry.name,
            copies,
        )
    groups: dict[int, list[int]] = {}
    for index, first in zip(order, firsts, strict=True):
        groups.setdefault(order[first], []).append(index)
    if entry.folds:
        fold = {id(sample) for sample in hold_out_fold(samples, entry.fold, entry.folds)[1]}
        chosen = {first for first in groups if id(samples[first]) in fold}
    else:
        chosen = _drawn(groups, places, _number(samples, entry))
    held = {index for first in chosen for index in groups[first]}
    return _parted(samples, [index in held for index in range(len(samples))])


def _drawn(groups: Mapping[int, Sequence[int]], places: Sequence[str], number: int) -> set[int]:
    """Return the groups of the least digests, until so many images are chosen."""
    chosen: set[int] = set()
    found = 0
    for first in sorted(groups, key=lambda index: _digest(places[index])):
        if found >= number:
            break
        chosen.add(first)
        found += len(groups[first])
    return chosen


def _digest(place: str) -> bytes:
    return hashlib.sha256(f"{SEED} {place}".encode("utf-8", "surrogateescape")).digest()


def _number(samples: Sequence[Sample], entry: DataConfig) -> int:
    return max(round(len(samples) * entry.holdout), 1)


def _place(sample: Sample, root: Path) -> str:
    """Return where an image lies, seen from its set: the same when the data are moved."""
    try:
        return Path(os.path.relpath(sample.path, root)).as_posix()
    except ValueError:  # on another drive
        return sample.path.as_posix()


def _parted(samples: Sequence[Sample], held: Sequence[bool]) -> Parts:
    """Return the images that are trained on and those that are held out, in their order."""
    training = [sample for sample, out in zip(samples, held, strict=True) if not out]
    return training, [sample for sample, out in zip(samples, held, strict=True) if out]
