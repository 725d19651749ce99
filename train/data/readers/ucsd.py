"""The UCSD pedestrians (Chan et al. 2008)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgecount.errors import SourceError
from edgecount.train.data.readers.files import naming
from edgecount.train.data.readers.matlab import columns_of, load_mat
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.regions import inside_mask, outline
from edgecount.train.data.readers.samples import from_points
from edgecount.train.data.sample import Sample

_CLIPS = "vidf1_33_*_frame_full.mat"
_REGION = "vidf1_33_roi_mainwalkway.mat"
# The centre of MATLAB's first pixel is 1, here it is 0.5.
_MATLAB = 0.5


def read_ucsd(root: Path, reading: Reading) -> list[Sample]:
    """Read ``vidf1_33_000.y/vidf1_33_000_f001.png`` with ``vidf1_33_000_frame_full.mat``.

    Both folders, such as ``vidf`` and ``vidf-cvpr``, lie anywhere in ``root``. All clips are read;
    the paper trains on 003 to 006. Only the main walkway is annotated: people outside
    ``vidf1_33_roi_mainwalkway.mat``, beside the annotations, are left out.
    """
    samples: list[Sample] = []
    for path in sorted(root.rglob(_CLIPS)):
        clip = path.name.removesuffix("_frame_full.mat")
        folder = next(iter(sorted(root.rglob(f"{clip}.y"))), None)
        if folder is None:
            raise SourceError(f"{path} has no images: expected a folder {clip}.y in {root}")
        samples += _read_clip(path, folder, clip, reading)
    return samples


def _read_clip(path: Path, folder: Path, clip: str, reading: Reading) -> list[Sample]:
    region_path = path.with_name(_REGION)
    with naming(region_path):
        mask = np.asarray(load_mat(region_path)["roi"]["mask"][0, 0]) > 0
        region = outline(mask)
    samples = []
    with naming(path):
        for index, location in enumerate(_locations(load_mat(path)), 1):
            points = columns_of(location) - np.float32(_MATLAB)
            inside = inside_mask(points, mask)
            points = points[inside]
            reading.leave_out("points outside the annotated region", (~inside).sum())
            image = folder / f"{clip}_f{index:03d}.png"
            samples.append(from_points(image, points, region=region))
    return samples


def _locations(contents: dict[str, Any]) -> list[Any]:
    """Return (N, 3) x, y and more of each frame, nested in either release's way."""
    frames = contents["frame"] if "frame" in contents else contents["fgt"]["frame"][0, 0]
    return [frames[0, i]["loc"][0, 0] for i in range(frames.shape[1])]
