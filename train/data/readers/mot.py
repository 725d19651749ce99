"""MOTChallenge sequences: CroHD (Sundararaman et al. 2021), GTA_Head (Zhong et al. 2022)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.readers.classes import counted_class
from edgecount.train.data.readers.files import naming, part_with, read_numbers
from edgecount.train.data.readers.reading import Reading, Unannotated
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.readers.text import read_text
from edgecount.train.data.sample import Sample

_TRUTH = Path("gt", "gt.txt")
_LABELS = "labels.txt"  # beside it, from CVAT: the names of the classes, from 1 on


def read_mot(root: Path, reading: Reading) -> list[Sample]:
    """Read ``HT21-01/img1/000001.jpg`` with ``HT21-01/gt/gt.txt``.

    A line has frame, track, left, top, width, height, flag, class and visibility. Pixels are
    counted from 1. Heads whose flag is 0 are left out, as MOTChallenge asks; hidden ones count.
    Where ``gt/labels.txt`` names several classes, heads count, else people. ``root`` is one
    sequence, the folder of several, or the set's folder, whose ``train`` is read. A frame without a
    line is one without people. A sample is called SEQUENCE_FRAME. GTA_Head's own page documents
    this layout.
    """
    if (root / "img1").is_dir():
        return _read(root, reading)
    folder = part_with(root, "*/img1", "train")
    sequences = sorted(path.parent for path in folder.glob("*/img1"))
    return [sample for sequence in sequences for sample in _read(sequence, reading)]


def _read(sequence: Path, reading: Reading) -> list[Sample]:
    images = _by_frame(reading.images_in(sequence / "img1"))
    path = sequence / _TRUTH
    if not path.is_file():
        raise SourceError(f"{sequence / 'img1'} has no annotation: expected {path}")
    numbers = read_numbers(path, 7)
    if (numbers[:, 0] % 1 != 0).any():
        raise ValueError(f"{path}: expected whole numbers of frames first")
    # As whole as a float can say: a frame that there is not is refused below.
    frames = numbers[:, 0].clip(-1, 2.0**53).astype(int)
    unknown = np.setdiff1d(frames, list(images))
    if len(unknown):
        raise ValueError(f"{path} annotates frame {unknown[0]}, which {sequence / 'img1'} lacks")
    kept = numbers[:, 6] != 0
    reading.leave_out("boxes whose flag is 0", (~kept).sum())
    kept &= _is_counted(path, kept, reading)
    named = set(frames.tolist())
    for number, image in images.items():
        if number not in named:
            name = _name(sequence, image)
            reading.unannotated[image] = Unannotated(None, "empty", name)
    images = {number: image for number, image in images.items() if number in named}
    frames, corners = frames[kept], numbers[kept, 2:4] - 1
    boxes = np.concatenate([corners, corners + numbers[kept, 4:6]], axis=1)
    order = np.argsort(frames, kind="stable")
    starts = np.searchsorted(frames[order], [*images, max(images, default=0) + 1])
    with naming(path):
        return [
            from_boxes(image, boxes[order[first:last]], name=_name(sequence, image))
            for image, first, last in zip(images.values(), starts[:-1], starts[1:], strict=True)
        ]


def _is_counted(path: Path, flagged: NDArray[np.bool_], reading: Reading) -> NDArray[np.bool_]:
    """Return which lines are of the class that counts, and record how many are not.

    Args:
        path: the file of the boxes.
        flagged: which lines are to be looked at.
        reading: what was read and left out.

    Raises:
        ValueError: several classes are named, and none is head or person.
    """
    classes = _classes(path)
    labels = path.with_name(_LABELS)
    if classes is None or not labels.is_file():
        if classes is not None and len(np.unique(classes[flagged])) > 1:
            reading.note(
                "boxes of several classes, which nothing names, all counted", flagged.sum()
            )
        return np.ones(len(flagged), bool)
    with naming(labels):
        names = [line.strip().lower() for line in read_text(labels).splitlines()]
        wanted = counted_class(filter(None, names))
    if wanted is None:
        return np.ones(len(flagged), bool)
    counted: NDArray[np.bool_] = classes == names.index(wanted) + 1
    reading.leave_out(f"boxes of other classes than {wanted}", (flagged & ~counted).sum())
    return counted


def _classes(path: Path) -> NDArray[np.float64] | None:
    """Return the class of each line; None where the lines end before it."""
    try:
        return read_numbers(path, 8)[:, 7]
    except ValueError:
        return None


def _name(sequence: Path, image: Path) -> str:
    return f"{sequence.name}_{image.stem}"


def _by_frame(paths: list[Path]) -> dict[int, Path]:
    """Return the images by their frame's number, in its order."""
    found: dict[int, Path] = {}
    for path in paths:
        other = found.setdefault(_frame(path), path)
        if other is not path:
            raise ValueError(f"{other} and {path.name} are the same frame: expected one")
    return dict(sorted(found.items()))


def _frame(image: Path) -> int:
    try:
        return int(image.stem)
    except ValueError:
        raise ValueError(f"{image}: expected a frame's number as its name") from None
