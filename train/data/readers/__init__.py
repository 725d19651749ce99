"""Annotated crowds in their sets' own layouts; one file per family.

A reader is a function of the set's folder, or of one of its lists, that gives samples without
opening images, and tells a :class:`Reading` what it leaves out. Coordinates are the set's own
numbers. Most sets keep their test images in a folder of their own: the folder that has all of them
gives the training images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgecount.errors import ConfigError, EdgeCountError, MissingExtraError, SourceError
from edgecount.train.data.headers import read_header
from edgecount.train.data.origins import origin_of
from edgecount.train.data.readers.classes import note_on_single
from edgecount.train.data.readers.coco import read_coco
from edgecount.train.data.readers.folders import read_csv_folder, read_empty
from edgecount.train.data.readers.guess import guess_reader
from edgecount.train.data.readers.jhu import read_jhu_crowd
from edgecount.train.data.readers.mall import read_mall, read_mall_roi
from edgecount.train.data.readers.mot import read_mot
from edgecount.train.data.readers.nwpu import read_nwpu_crowd
from edgecount.train.data.readers.reading import CHOICES, Choice, Reading
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.readers.shanghaitech import read_shanghaitech
from edgecount.train.data.readers.table import read_csv
from edgecount.train.data.readers.trancos import read_trancos
from edgecount.train.data.readers.ucf import read_ucf_cc_50, read_ucf_qnrf
from edgecount.train.data.readers.ucsd import read_ucsd
from edgecount.train.data.readers.voc import read_scut_head, read_voc
from edgecount.train.data.readers.worldexpo import read_worldexpo
from edgecount.train.data.readers.yolo import read_yolo
from edgecount.train.data.sample import Sample

__all__ = [
    "CHOICES",
    "READERS",
    "Choice",
    "Reading",
    "Sample",
    "guess_reader",
    "read_samples",
    "read_set",
]

log = logging.getLogger(__name__)

_PERCENT = 100.0
_TIMES = 3  # larger than that are pictures whose points are not all near a corner by chance

READERS: dict[str, Callable[[Path, Reading], list[Sample]]] = {
    "shanghaitech": read_shanghaitech,
    "mall": read_mall,
    "mall_roi": read_mall_roi,
    "ucsd": read_ucsd,
    "ucf_cc_50": read_ucf_cc_50,
    "ucf_qnrf": read_ucf_qnrf,
    "jhu_crowd": read_jhu_crowd,
    "nwpu_crowd": read_nwpu_crowd,
    "worldexpo": read_worldexpo,
    "trancos": read_trancos,
    "scut_head": read_scut_head,
    "crohd": read_mot,
    "gta_head": read_mot,
    "voc": read_voc,
    "mot": read_mot,
    "coco": read_coco,
    "yolo": read_yolo,
    "csv": read_csv,
    "csv_folder": read_csv_folder,
    "empty": read_empty,
}

# Readers of one file, or of a set that has lists of its images.
_OF_FILES = {"nwpu_crowd", "trancos", "scut_head", "voc", "coco", "csv"}


def read_samples(reader: str, root: Path, *, unannotated: Choice | None = None) -> list[Sample]:
    """Read all samples of a set, sorted by name; what is left out goes to the log.

    Args:
        reader: one of :data:`READERS`.
        root: the set's folder; for some, a list of its images, or the annotations' file.
        unannotated: whether pictures without an annotation are taken as ``empty``, are left out
            (``skip``) or are an ``error``; None: what the reader does with such pictures.

    Raises:
        ConfigError: the reader is unknown.
        SourceError: the folder is missing or an annotation cannot be read.
        MissingExtraError: a package is missing that reads the annotations.
    """
    samples, reading = read_set(reader, root, unannotated=unannotated)
    for reason, number in reading.left_out.items():
        log.info("%s: %s: %d", reader, reason, number)
    for what, number in reading.notes.items():
        log.warning("%s: %s: %d", reader, what, number)
    if reading.no_picture:
        number, first = len(reading.no_picture), reading.no_picture[0]
        log.warning("%s: %d annotations have no picture, first %s", reader, number, first)
    if reading.unannotated and unannotated is None:
        log.warning("%s: %s", reader, _standing(reading))
    return samples


def read_set(
    reader: str, root: Path, *, unannotated: Choice | None = None
) -> tuple[list[Sample], Reading]:
    """Read all samples of a set, and return what else was found too; see :func:`read_samples`."""
    if reader not in READERS:
        raise ConfigError(f"data.reader: expected one of {', '.join(READERS)}, got {reader!r}")
    if not (root.is_dir() or (root.is_file() and reader in _OF_FILES)):
        also = " or file" if reader in _OF_FILES else ""
        origin = origin_of(reader, root)
        raise SourceError(
            f"{reader}: expected the set's folder{also}, {root} is not one"
            + (f": {origin}" if origin else "")
        )
    reading = Reading()
    try:
        samples = READERS[reader](root, reading)
    except MissingExtraError:
        raise
    except SourceError as error:
        raise SourceError(f"{reader}: {error}") from error
    except Exception as error:  # parsers of other formats raise whatever they stumbled over
        raise SourceError(
            f"{reader}: cannot read the annotations in {root}: {str(error) or repr(error)}"
        ) from error
    note = note_on_single(reading.counted)
    reading.note(note, reading.counted.total() if note else 0)
    _check_pixels(reader, samples)
    _check_percent(reader, samples)
    _check_once(reader, samples)
    samples = _with_unannotated(reader, samples, reading, unannotated)
    if not samples:
        raise SourceError(f"{reader}: found no annotated images in {root}")
    return samples, reading


def _check_pixels(reader: str, samples: list[Sample]) -> None:
    """Check that the points are not shares of the images' sides.

    Raises:
        SourceError: all lie in the first pixel, and not on its corners.
    """
    points = [sample.points for sample in samples if len(sample.points)]
    numbers = np.concatenate(points) if points else np.zeros((0, 2), np.float32)
    within = (numbers >= 0).all() and (numbers <= 1).all()
    if within and (numbers % 1 != 0).any():
        raise SourceError(
            f"{reader}: expected coordinates in pixels, got numbers from 0 to 1 alone: shares of "
            "the images' sides are read by yolo"
        )


def _check_percent(reader: str, samples: list[Sample]) -> None:
    """Warn of points that look like percents of the images' sides, as Label Studio has them.

    They do where all lie within 100 px of the top left corner, some beyond the middle of that
    square and between pixels, and the first picture is several times larger.
    """
    annotated = [sample for sample in samples if len(sample.points)]
    if not annotated:
        return
    numbers = np.concatenate([sample.points for sample in annotated])
    within = numbers.min() >= 0 and _PERCENT / 2 < numbers.max() <= _PERCENT
    if not within or (numbers % 1 == 0).all():
        return
    path = annotated[0].path
    with suppress(EdgeCountError):  # what cannot be read is told where it is needed
        header = read_header(path)
        if min(header.width, header.height) > _TIMES * _PERCENT:
            log.warning(
                "%s: all %d points lie within 100 px of the top left corner, and %s has %d x %d "
                "px: expected pixels, got percents of the sides?",
                reader,
                len(numbers),
                path,
                header.width,
                header.height,
            )


def _check_once(reader: str, samples: list[Sample]) -> None:
    """Check that no picture has two annotations, each of which would be taken for all of it.

    Raises:
        SourceError: one has.
    """
    seen: set[Path] = set()
    for sample in samples:
        if sample.path in seen:
            raise SourceError(
                f"{reader}: two annotations are of the picture {sample.path}: expected one"
            )
        seen.add(sample.path)


def _with_unannotated(
    reader: str, samples: list[Sample], reading: Reading, choice: Choice | None
) -> list[Sample]:
    """Return the samples with the pictures that are taken as empty, in the order of their paths.

    Raises:
        SourceError: a picture has no annotation, and that is an error.
    """
    empty = []
    for path, found in reading.unannotated.items():
        what = choice or found.usual
        if what == "error":
            number = len(reading.unannotated) - 1
            also = f", nor have {number} others" if number else ""
            expected = found.expected or "a row that names it"
            raise SourceError(
                f"{reader}: {path} has no annotation: expected {expected}{also}; "
                "`unannotated=empty` takes such pictures as ones without people, "
                "`unannotated=skip` leaves them out"
            )
        found.usual = what
        if what == "empty":
            empty.append(from_points(path, np.zeros((0, 2)), name=found.name))
    if not empty:
        return samples
    return sorted(samples + empty, key=lambda sample: sample.path)


def _standing(reading: Reading) -> str:
    """Say what is done with the pictures that have no annotation."""
    taken = sum(found.usual == "empty" for found in reading.unannotated.values())
    left = len(reading.unannotated) - taken
    words = [
        f"{number} pictures without an annotation {done}, first {first}"
        for number, done, kind in (
            (taken, "are taken as empty", "empty"),
            (left, "are left out", "skip"),
        )
        if number
        for first in [next(p for p, u in reading.unannotated.items() if u.usual == kind)]
    ]
    return f"{'; '.join(words)} (to choose: unannotated, empty, skip or error)"
