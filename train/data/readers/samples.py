"""Samples from the points and boxes of annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import AnnotatedSize, Sample
from edgecount.train.targets.points import sizes_from_neighbours

Array = NDArray[np.float32]


def from_points(
    path: Path,
    points: NDArray[np.floating],
    *,
    region: Array | Path | None = None,
    name: str = "",
    size: AnnotatedSize | None = None,
) -> Sample:
    """Make a sample of (N, 2) head centres; guess the sizes from the neighbours.

    Raises:
        ValueError: a coordinate is not finite.
    """
    array = np.asarray(points, np.float32).reshape(-1, 2)
    if not np.isfinite(array).all():
        raise ValueError("expected finite coordinates")
    diameters = sizes_from_neighbours(array)
    return Sample(path, array, diameters, region=region, name=name, annotated_size=size)


def from_boxes(
    path: Path,
    boxes: NDArray[np.floating],
    *,
    points: NDArray[np.floating] | None = None,
    name: str = "",
    size: AnnotatedSize | None = None,
) -> Sample:
    """Make a sample of (N, 4) left, top, right, bottom; points not given are the centres.

    Raises:
        ValueError: a number is not finite.
    """
    sides = np.asarray(boxes, np.float32).reshape(-1, 4)
    if not np.isfinite(sides).all():
        raise ValueError("expected boxes of four finite sides")
    centres = (sides[:, :2] + sides[:, 2:]) / 2 if points is None else points
    spans = (sides[:, 2:] - sides[:, :2]).clip(1.0)
    diameters: Array = np.sqrt(spans[:, 0] * spans[:, 1]).astype(np.float32)
    points = np.asarray(centres, np.float32)
    return Sample(path, points, diameters, sides, name=name, annotated_size=size)
