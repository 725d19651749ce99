"""The Mall video (Chen et al. 2012)."""

from __future__ import annotations

from pathlib import Path

from edgecount.train.data.readers.files import naming
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_mall(root: Path, reading: Reading) -> list[Sample]:
    """Read ``frames/seq_000001.jpg`` with ``mall_gt.mat``; all frames, of which 1 to 800 train.

    The set's region of interest is not used: its counts and points are of the whole frame.
    """
    path = root / "mall_gt.mat"
    samples = []
    images = reading.images_in(root / "frames", "seq_*")
    reading.unnamed([root / "frames"], images, "skip")
    with naming(path):
        frames = load_mat(path)["frame"]
        for image in images:
            number = int(image.stem.removeprefix("seq_"))
            if not 1 <= number <= frames.shape[1]:
                raise ValueError(f"annotates frames 1 to {frames.shape[1]}, not {image.name}")
            samples.append(from_points(image, columns_of(frames[0, number - 1][0, 0][0])))
    return samples
