"""The Mall video (Chen et al. 2012)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.readers.files import naming
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.regions import inside_mask, outline
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_mall(root: Path, reading: Reading) -> list[Sample]:
    """Read ``frames/seq_000001.jpg`` with ``mall_gt.mat``; all frames, of which 1 to 800 train.

    The counts and points are of the whole frame; :func:`read_mall_roi` takes the set's region.
    """
    return _read(root, reading, None)


def read_mall_roi(root: Path, reading: Reading) -> list[Sample]:
    """Read the set with its region of interest, ``perspective_roi.mat``, the only part that counts.

    It leaves out a tenth of the frame, and nobody who is annotated in the first 300 frames.
    """
    path = root / "perspective_roi.mat"
    with naming(path):
        mask = np.asarray(load_mat(path)["roi"]["mask"][0, 0]) > 0
    return _read(root, reading, mask)


def _read(root: Path, reading: Reading, mask: NDArray[np.bool_] | None) -> list[Sample]:
    path = root / "mall_gt.mat"
    region = None if mask is None else outline(mask)
    samples = []
    images = reading.images_in(root / "frames", "seq_*")
    reading.unnamed([root / "frames"], images, "skip")
    with naming(path):
        frames = load_mat(path)["frame"]
        for image in images:
            number = int(image.stem.removeprefix("seq_"))
            if not 1 <= number <= frames.shape[1]:
                raise ValueError(f"annotates frames 1 to {frames.shape[1]}, not {image.name}")
            points = columns_of(frames[0, number - 1][0, 0][0])
            if mask is not None:
                inside = inside_mask(points, mask)
                reading.leave_out("points outside the annotated region", (~inside).sum())
                points = points[inside]
            samples.append(from_points(image, points, region=region))
    return samples
