"""Statistics of an annotated set, and what is odd in it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.headers import read_header
from edgecount.train.data.sample import Image, Sample

ODDITIES = {
    "unreadable": "cannot be read",
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
    """

    images: int
    people: dict[str, float]
    histogram: dict[str, int]
    sizes: dict[str, int]
    boxes: int
    odd: dict[str, dict[str, str]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return dataclasses.asdict(self)


def check_samples(
    samples: Sequence[Sample], progress: Callable[[], None] | None = None
) -> SetStatistics:
    """Read every image of a set.

    Args:
        samples: one or more samples.
        progress: called after each image.
    """
    sizes: Counter[str] = Counter()
    odd: dict[str, dict[str, str]] = {kind: {} for kind in ODDITIES}
    first_of: dict[str, Sample] = {}
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            odd["same_names"][sample.name] = str(sample.path)
        seen.add(sample.name)
        if not len(sample.points):
            odd["empty"][sample.name] = ""
        try:
            image = sample.image()
            rotation = read_header(sample.path).orientation
            digest = hashlib.sha256(sample.path.read_bytes()).hexdigest()
        except (SourceError, OSError) as error:
            odd["unreadable"][sample.name] = str(error)
        else:
            sizes[f"{image.shape[1]}x{image.shape[0]}"] += 1
            first = first_of.setdefault(digest, sample)
            if first is not sample:
                odd["duplicate_images"][sample.name] = first.name
            for kind, remark in _remarks(sample, image, rotation):
                odd[kind][sample.name] = remark
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
    )


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
