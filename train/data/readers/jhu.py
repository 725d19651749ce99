"""JHU-CROWD++ (Sindagi et al. 2020)."""

from __future__ import annotations

from pathlib import Path

from edgecount.train.data.readers.files import naming, part_with, read_numbers
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_boxes
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around


def read_jhu_crowd(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/0001.jpg`` with ``gt/0001.txt``: x y width height occlusion blur of each head.

    x and y are the centre; an empty file is an image without people. ``root`` is ``train``,
    ``val`` or ``test``; of the folder that has them the training images are read.
    """
    folder = part_with(root, "images", "train")
    samples, read = [], []
    for image in reading.images_in(folder / "images"):
        path = reading.annotation_of(image, folder / "gt" / f"{image.stem}.txt")
        if path is None:
            continue
        read.append(path)
        numbers = read_numbers(path, 4)
        centres, spans = numbers[:, :2], numbers[:, 2:]
        with naming(path):
            samples.append(from_boxes(image, boxes_around(centres, spans), points=centres))
    reading.without_picture(reading.files_in(folder / "gt", (".txt",)), read)
    return samples
