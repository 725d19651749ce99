"""UCF_CC_50 (Idrees et al. 2013) and UCF-QNRF (Idrees et al. 2018)."""

from __future__ import annotations

from pathlib import Path

from edgecount.train.data.readers.files import naming, part_with
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_ucf_cc_50(root: Path, reading: Reading) -> list[Sample]:
    """Read ``n.jpg`` beside ``n_ann.mat``; the set has no official split."""
    return _read(root, reading)


def read_ucf_qnrf(root: Path, reading: Reading) -> list[Sample]:
    """Read ``img_0001.jpg`` beside ``img_0001_ann.mat``.

    ``root`` is ``Train`` or ``Test``; of the folder that has both the training images are read.
    """
    return _read(part_with(root, "*_ann.mat", "Train"), reading)


def _read(folder: Path, reading: Reading) -> list[Sample]:
    samples, read = [], []
    for image in reading.images_in(folder):
        path = reading.annotation_of(image, folder / f"{image.stem}_ann.mat")
        if path is None:
            continue
        read.append(path)
        with naming(path):
            samples.append(from_points(image, columns_of(load_mat(path)["annPoints"])))
    reading.without_picture(reading.files_in(folder, (".mat",), "*_ann.mat"), read)
    return samples
