"""ShanghaiTech part A and B (Zhang et al. 2016)."""

from __future__ import annotations

from pathlib import Path

from edgecount.train.data.readers.files import annotation_of, images_in, naming, part_with
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_shanghaitech(root: Path) -> list[Sample]:
    """Read ``images/IMG_n.jpg`` with ``ground_truth/GT_IMG_n.mat``.

    ``root`` is ``part_A/train_data`` or such; of a part's own folder the training images are read.
    The annotations' folder is also spelt ``ground-truth``.
    """
    folder = part_with(root, "images", "train_data", "train")
    samples = []
    for image in images_in(folder / "images", "IMG_*"):
        name = f"GT_{image.stem}.mat"
        path = annotation_of(image, *(folder / f"ground{dash}truth" / name for dash in "_-"))
        with naming(path):
            points = columns_of(load_mat(path)["image_info"][0, 0][0, 0][0])
        samples.append(from_points(image, points))
    return samples
