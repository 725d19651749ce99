"""Annotated crowds in their sets' own layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import ConfigError, SourceError
from edgecount.train.targets import sizes_from_neighbours

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """One annotated image.

    Attributes:
        path: the image file.
        points: (N, 2) head centres x, y in continuous pixels.
        sizes: (N,) head diameters in px: from boxes where the set has them, else guessed from
            the neighbours.
    """

    path: Path
    points: Array
    sizes: Array

    @property
    def name(self) -> str:
        """The image's name without its extension, as the split files list it."""
        return self.path.stem


def read_samples(reader: str, root: Path) -> list[Sample]:
    """All samples of a set, sorted by name.

    Raises:
        ConfigError: the reader is unknown.
        SourceError: the folder is missing or an annotation cannot be read.
    """
    if reader not in READERS:
        raise ConfigError(f"data.reader: expected one of {', '.join(READERS)}, got {reader!r}")
    if not root.is_dir():
        raise SourceError(f"{reader}: expected the set's folder, {root} is not one")
    try:
        samples = READERS[reader](root)
    except (OSError, ValueError, KeyError, IndexError, ET.ParseError) as error:
        raise SourceError(f"{reader}: cannot read the annotations in {root}: {error}") from error
    if not samples:
        raise SourceError(f"{reader}: found no annotated images in {root}")
    return samples


def _sample(path: Path, points: NDArray[np.floating]) -> Sample:
    array = np.asarray(points, np.float32).reshape(-1, 2)
    return Sample(path, array, sizes_from_neighbours(array))


def _load_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        contents: dict[str, Any] = loadmat(path)
    except Exception as error:  # a damaged file raises whatever its parser stumbled over
        raise ValueError(f"{path.name}: {error}") from error
    return contents


def _read_shanghaitech(root: Path) -> list[Sample]:
    """``images/IMG_n.jpg`` with ``ground_truth/GT_IMG_n.mat`` (Zhang et al. 2016)."""
    samples = []
    for path in sorted((root / "images").glob("IMG_*.jpg")):
        truth = _load_mat(root / "ground_truth" / f"GT_{path.stem}.mat")
        samples.append(_sample(path, truth["image_info"][0, 0][0, 0][0]))
    return samples


def _read_mall(root: Path) -> list[Sample]:
    """``frames/seq_%06d.jpg`` with ``mall_gt.mat`` (Chen et al. 2012)."""
    frames = _load_mat(root / "mall_gt.mat")["frame"]
    paths = sorted((root / "frames").glob("seq_*.jpg"))
    return [_sample(p, frames[0, int(p.stem[4:]) - 1][0, 0][0]) for p in paths]


def _read_voc(root: Path) -> list[Sample]:
    """``JPEGImages`` and Pascal VOC ``Annotations`` of head boxes (SCUT-HEAD, Peng et al. 2018)."""
    samples = []
    for annotation in sorted((root / "Annotations").glob("*.xml")):
        tree = ET.parse(annotation)  # noqa: S314 (a training set is the user's own)
        boxes = np.array(
            [
                [float(box.findtext(side, "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
                for box in tree.iter("bndbox")
            ],
            np.float32,
        ).reshape(-1, 4)
        if not np.isfinite(boxes).all():
            raise ValueError(f"{annotation.name}: a box lacks a side")
        centres: Array = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)
        sides = (boxes[:, 2:] - boxes[:, :2]).clip(1.0)
        sizes: Array = np.sqrt(sides[:, 0] * sides[:, 1]).astype(np.float32)
        samples.append(Sample(root / "JPEGImages" / f"{annotation.stem}.jpg", centres, sizes))
    return samples


READERS: dict[str, Callable[[Path], list[Sample]]] = {
    "shanghaitech": _read_shanghaitech,
    "mall": _read_mall,
    "voc": _read_voc,
}
