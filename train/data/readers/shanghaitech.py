"""ShanghaiTech part A and B (Zhang et al. 2016)."""

from __future__ import annotations

from pathlib import Path

from edgecount.train.data.readers.files import naming, part_with
from edgecount.train.data.readers.matlab import columns_of, field_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_shanghaitech(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/IMG_n.jpg`` with ``ground_truth/GT_IMG_n.mat``.

    ``root`` is ``part_A/train_data`` or such; of a part's own folder the training images are read.
    The annotations' folder is also spelt ``ground-truth``.
    """
    folder = part_with(root, "images", "train_data", "train")
    samples, read = [], []
    images = reading.images_in(folder / "images", "IMG_*")
    truths = [folder / f"ground{dash}truth" for dash in "_-"]
    for image in images:
        path = reading.annotation_of(image, *(t / f"GT_{image.stem}.mat" for t in truths))
        if path is None:
            continue
        read.append(path)
        with naming(path):
            points = columns_of(field_of(load_mat(path)["image_info"][0, 0], "location"))
        samples.append(from_points(image, points))
    reading.unnamed([folder / "images"], images, "skip")
    for truth in truths:
        reading.without_picture(reading.files_in(truth, (".mat",), "gt_*"), read)
    return samples
