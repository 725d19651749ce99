"""TRANCOS, vehicles on motorways (Guerrero-Gomez-Olmedo et al. 2015)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_image
from edgecount.train.data.readers.files import listed_names, naming, read_numbers
from edgecount.train.data.readers.matlab import load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.regions import inside_mask, outline
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_trancos(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/image-1-000001.jpg`` with its ``.txt`` or ``dots.png``, and its ``mask.mat``.

    The text has x y of each vehicle, the image a red dot; the text is read where both are there.
    Vehicles outside the mask ``BW`` are left out. ``root`` is one of the lists in ``image_sets``;
    of the set's folder ``trainval.txt`` is read, or all images where it is missing.
    """
    listing = root if root.is_file() else root / "image_sets" / "trainval.txt"
    folder = (listing.parent.parent if root.is_file() else root) / "images"
    if listing.is_file():
        images = [folder / f"{name}.jpg" for name in listed_names(listing)]
    else:
        images = [path for path in reading.images_in(folder, "image-*") if "dots" not in path.stem]
    found = (_read(image, reading) for image in images)
    return [sample for sample in found if sample]


def _read(image: Path, reading: Reading) -> Sample | None:
    mask_path = image.with_name(f"{image.stem}mask.mat")
    if not mask_path.is_file():
        raise SourceError(f"{image} has no annotation: expected {mask_path}")
    with naming(mask_path):
        mask = np.asarray(load_mat(mask_path)["BW"]) > 0
        region = outline(mask)
    dots = image.with_name(f"{image.stem}dots.png")
    path = reading.annotation_of(image, image.with_suffix(".txt"), dots)
    if path is None:
        return None
    points = _dots(path) if path == dots else read_numbers(path, 2).astype(np.float32)
    inside = inside_mask(points, mask)
    reading.leave_out("points outside the annotated region", (~inside).sum())
    return from_points(image, points[inside], region=region)


def _dots(path: Path) -> NDArray[np.float32]:
    """Return the (N, 2) centres of the pixels that are red."""
    row, column = np.nonzero(read_image(path)[:, :, 2])
    points: NDArray[np.float32] = np.stack([column, row], axis=1).astype(np.float32) + 0.5
    return points
