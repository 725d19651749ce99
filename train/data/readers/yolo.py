"""Boxes in YOLO's text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgecount.errors import SourceError
from edgecount.runtime.sources.open import IMAGE_SUFFIXES
from edgecount.train.data.headers import read_header
from edgecount.train.data.readers.files import naming, read_numbers
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around


def read_yolo(root: Path) -> list[Sample]:
    """Read ``images/NAME.jpg`` with ``labels/NAME.txt``, or both in one folder.

    A line has class, x, y, width and height of a head, as shares of the image's upright width and
    height; x and y are the centre. Every class counts. Subfolders of ``images`` are those of
    ``labels``. An image without a file is one without people, as with YOLO's own tools.
    """
    folder = root / "images" if (root / "images").is_dir() else root
    labels = root / "labels" if (root / "labels").is_dir() else folder
    images = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    paths = [labels / image.relative_to(folder).with_suffix(".txt") for image in images]
    if images and not any(path.is_file() for path in paths):
        raise SourceError(f"{images[0]} has no annotation, nor has any image: expected {paths[0]}")
    return [_read(image, path) for image, path in zip(images, paths, strict=True)]


def _read(image: Path, path: Path) -> Sample:
    if not path.is_file():
        return from_boxes(image, np.zeros((0, 4)))
    shares = read_numbers(path, 5)[:, 1:]
    header = read_header(image)
    scale = np.array([header.width, header.height], np.float64)
    with naming(path):
        if (shares.max(initial=0) > 2) or (shares.min(initial=0) < -1):
            raise ValueError("expected shares of the image's sides, from 0 to 1, got pixels")
        return from_boxes(image, boxes_around(shares[:, :2] * scale, shares[:, 2:] * scale))
