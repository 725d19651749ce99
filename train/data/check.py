"""Statistics of an annotated set, and what is odd in it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.headers import read_header
from edgecount.train.data.readers import Reading
from edgecount.train.data.sample import Image, Sample
from edgecount.train.data.splits import evenly

ODDITIES = {
    "unreadable": "cannot be read",
    "wrong_size": "not of the size that the annotations say: the points may lie elsewhere",
    "unannotated": "no annotation: taken as empty, or left out",
    "no_picture": "annotations without a picture",
    "grey": "no colour",
    "rotated": "turned by an EXIF orientation when read: do the points lie upright too?",
    "points_outside": "points more than 1 px outside: never trained on, but counted",
    "duplicate_points": "points at the very place of another",
    "broken_boxes": "boxes without an area, or outside the image",
    "duplicate_images": "the same file as another",
    "same_names": "another image is called the same: lists of names take both",
    "empty": "nobody in it",
}
"""Faults that :func:`check_samples` looks for, in words."""

_EDGES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class SetStatistics:
    """The statistics of a set, and its oddities.

    Attributes:
        images: number of images.
        people: total, min, median, mean and max of an image.
        histogram: images by people, such as ``"10-19": 4``; only the range that occurs.
        sizes: images by ``"WxH"``, the most frequent first, as far as they can be read.
        boxes: images whose heads have boxes.
        odd: names of the images and a remark, by the keys of :data:`ODDITIES`, where any.
        read: images that were read; of the others only the annotations were looked at.
        counted: heads by the name of their class, where the annotations have classes.
        left_out: annotations that are not counted, by the reason.
        notes: other things to know of the annotations, with numbers.
    """

    images: int
    people: dict[str, float]
    histogram: dict[str, int]
    sizes: dict[str, int]
    boxes: int
    odd: dict[str, dict[str, str]]
    read: int
    counted: dict[str, int]
    left_out: dict[str, int]
    notes: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return dataclasses.asdict(self)


def check_samples(
    samples: Sequence[Sample],
    progress: Callable[[], None] | None = None,
    *,
    reading: Reading | None = None,
    most: int | None = None,
) -> SetStatistics:
    """Read every image of a set, or some.

    Args:
        samples: one or more samples.
        progress: called after each image.
        reading: what the reader found beside the samples.
        most: images to read at most, chosen evenly over their order; None: all.
    """
    reading = reading or Reading()
    odd = _oddities_of_files(samples, reading)
    sizes: Counter[str] = Counter()
    first_of: dict[str, Sample] = {}
    chosen = samples if most is None else evenly(samples, most)
    for sample in chosen:
        for kind, remark in _look(sample, sizes, first_of):
            _put(odd[kind], sample.name, sample.path, remark)
        if progress:
            progress()
    counts = np.array([len(sample.points) for sample in samples])
    return SetStatistics(
        images=len(samples),
        people=_people(counts),
        histogram=_histogram(counts),
        sizes=dict(sizes.most_common()),
        boxes=sum(sample.boxes is not None for sample in samples),
        odd={kind: names for kind, names in odd.items() if names},
        read=len(chosen),
        counted=dict(reading.counted.most_common()),
        left_out=dict(reading.left_out.most_common()),
        notes=dict(reading.notes.most_common()),
    )


def _oddities_of_files(samples: Sequence[Sample], reading: Reading) -> dict[str, dict[str, str]]:
    """Return what is odd without looking into the images."""
    odd: dict[str, dict[str, str]] = {kind: {} for kind in ODDITIES}
    for path, found in reading.unannotated.items():
        done = "taken as empty" if found.usual == "empty" else "left out"
        _put(odd["unannotated"], found.name or path.name, path, done)
    for path in reading.no_picture:
        _put(odd["no_picture"], path.name, path, str(path))
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            odd["same_names"][sample.name] = str(sample.path)
        seen.add(sample.name)
        if not len(sample.points):
            _put(odd["empty"], sample.name, sample.path, "")
    return odd


def _put(names: dict[str, str], name: str, path: Path, remark: str) -> None:
    """Add a remark by a file's name, by its path where another one has that name."""
    names[str(path) if name in names else name] = remark


def _look(
    sample: Sample, sizes: Counter[str], first_of: dict[str, Sample]
) -> Iterator[tuple[str, str]]:
    """Read an image; yield its oddities, add its size to ``sizes`` and its hash to ``first_of``."""
    try:
        image = dataclasses.replace(sample, annotated_size=None).image()
        header = read_header(sample.path)
        digest = hashlib.sha256(sample.path.read_bytes()).hexdigest()
    except (SourceError, OSError) as error:
        yield "unreadable", str(error)
        return
    wrong = sample.wrong_size(header.width, header.height)
    if wrong:
        yield "wrong_size", wrong
    sizes[f"{image.shape[1]}x{image.shape[0]}"] += 1
    first = first_of.setdefault(digest, sample)
    if first is not sample:
        yield "duplicate_images", first.name
    yield from _remarks(sample, image, header.orientation)


def _remarks(sample: Sample, image: Image, rotation: int) -> Iterator[tuple[str, str]]:
    if (image == image[:, :, :1]).all():
        yield "grey", ""
    if rotation != 1:
        yield "rotated", f"orientation {rotation}"
    edge = np.array(image.shape[1::-1])
    outside = int(((sample.points < -1) | (sample.points > edge + 1)).any(axis=1).sum())
    if outside:
        yield "points_outside", str(outside)
    again = len(sample.points) - len(np.unique(sample.points, axis=0))
    if again:
        yield "duplicate_points", str(again)
    broken = 0 if sample.boxes is None else int(_broken(sample.boxes, edge).sum())
    if broken:
        yield "broken_boxes", str(broken)


def _broken(boxes: NDArray[np.float32], edge: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Return which boxes (N,) have no area, or lie wholly outside an image of sides ``edge``."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.asarray(((high <= low) | (high <= 0) | (low >= edge)).any(axis=1), np.bool_)


def _people(counts: NDArray[np.int_]) -> dict[str, float]:
    return {
        "total": int(counts.sum()),
        "min": int(counts.min()),
        "median": float(np.median(counts)),
        "mean": float(counts.mean()),
        "max": int(counts.max()),
    }


def _histogram(counts: NDArray[np.int_]) -> dict[str, int]:
    bins = np.searchsorted(_EDGES, counts, side="right") - 1
    out = {}
    for index in range(bins.min(), bins.max() + 1):
        low, last = _EDGES[index], index + 1 == len(_EDGES)
        high = low if last else _EDGES[index + 1] - 1
        label = f"{low}+" if last else str(low) if low == high else f"{low}-{high}"
        out[label] = int((bins == index).sum())
    return out
