"""WorldExpo'10 (Zhang et al. 2015)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.readers.files import naming
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.regions import inside_polygon
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample


def read_worldexpo(root: Path, reading: Reading) -> list[Sample]:
    """Read ``train_label/SCENE/NAME.mat`` with ``train_frame/NAME.jpg``.

    Each scene's ``roi.mat`` bounds what is annotated: people outside it are left out. The images
    of the test set lie in folders of their scenes, ``test_frame/104207``; ``root`` is then
    ``test_frame``. Of the set's folder the training images are read. A sample's group is its scene.
    """
    frames = root if root.name.endswith("_frame") else root / "train_frame"
    labels = frames.with_name(frames.name.replace("_frame", "_label"))
    if not labels.is_dir():
        raise SourceError(f"{frames} has no annotations: expected the folder {labels}")
    samples: list[Sample] = []
    for scene in sorted(path for path in labels.iterdir() if path.is_dir()):
        samples += _read_scene(scene, frames, reading)
    return samples


def _read_scene(scene: Path, frames: Path, reading: Reading) -> list[Sample]:
    region = _region(scene / "roi.mat")
    samples = []
    for path in reading.files_in(scene, (".mat",)):
        if path.name.lower() == "roi.mat":
            continue
        image = reading.image_of(path, (frames, frames / scene.name))
        with naming(path):
            points = columns_of(load_mat(path)["point_position"])
        inside = inside_polygon(points, region)
        points = points[inside]
        reading.leave_out("points outside the annotated region", (~inside).sum())
        samples.append(from_points(image, points, region=region, group=scene.name))
    return samples


def _region(path: Path) -> NDArray[np.float32]:
    with naming(path):
        contents = load_mat(path)
        sides = [np.ravel(contents[f"maskVertices{axis}Coordinates"]) for axis in "XY"]
        region: NDArray[np.float32] = np.stack(sides, axis=1).astype(np.float32)
    return region
