"""NWPU-Crowd (Wang et al. 2020)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.readers.files import listed_names, naming
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_boxes, from_points
from edgecount.train.data.readers.text import read_json
from edgecount.train.data.sample import Sample

Array = NDArray[np.float32]


def read_nwpu_crowd(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/0001.jpg`` with ``jsons/0001.json`` or ``mats/0001.mat``.

    A json has ``points`` (x, y) and ``boxes`` (left, top, right, bottom), a mat ``annPoints`` and,
    in later releases, ``annBoxes``. The images may also lie in the archives' own folders,
    ``images_part1`` and so on. ``root`` is the list to read, ``train.txt`` or ``val.txt``, whose
    lines begin with an image's number; of a folder that is ``train.txt``. The test images are not
    annotated in public.
    """
    listing = root if root.is_file() else root / "train.txt"
    base = listing.parent
    folders = [base / "images", *sorted(base.glob("images_part*"))]
    samples = []
    for name in listed_names(listing):
        expected = base / "images" / f"{name}.jpg"
        path = reading.annotation_of(
            expected, base / "jsons" / f"{name}.json", base / "mats" / f"{name}.mat"
        )
        if path is None:
            continue
        with naming(path):
            points, boxes = _read_json(path) if path.suffix.lower() == ".json" else _read_mat(path)
            image = reading.image_of(path, folders, name)
            # A release without a box for every head gives none.
            if boxes is not None and len(boxes) == len(points):
                samples.append(from_boxes(image, boxes, points=points))
            else:
                reading.leave_out(
                    "boxes, not one for every head", 0 if boxes is None else len(boxes)
                )
                samples.append(from_points(image, points))
    return samples


def _read_json(path: Path) -> tuple[Array, Array | None]:
    contents = read_json(path)
    return columns_of(contents["points"]), columns_of(contents.get("boxes", []), 4)


def _read_mat(path: Path) -> tuple[Array, Array | None]:
    contents = load_mat(path)
    boxes = columns_of(contents["annBoxes"], 4) if "annBoxes" in contents else None
    return columns_of(contents["annPoints"]), boxes
