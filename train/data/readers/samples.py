"""Samples from the points and boxes of annotations."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import AnnotatedSize, Sample
from edgecount.train.targets.points import sizes_from_neighbours

Array = NDArray[np.float32]

_FURTHEST = 1e8  # px: beyond it, squares of distances are lost in float32


def from_points(
    path: Path,
    points: NDArray[np.floating],
    *,
    region: Array | Path | None = None,
    name: str = "",
    size: AnnotatedSize | None = None,
    group: str = "",
) -> Sample:
    """Make a sample of (N, 2) head centres; guess the sizes from the neighbours.

    Raises:
        ValueError: a coordinate is not finite, or that of no image.
    """
    array = _coordinates(points, 2, "finite coordinates")
    diameters = sizes_from_neighbours(array)
    return Sample(
        path, array, diameters, region=region, name=name, group=group, annotated_size=size
    )


def from_boxes(
    path: Path,
    boxes: NDArray[np.floating],
    *,
    points: NDArray[np.floating] | None = None,
    name: str = "",
    size: AnnotatedSize | None = None,
) -> Sample:
    """Make a sample of (N, 4) left, top, right, bottom; points not given are the centres.

    Of a box of a negative width or height, whose corners are swapped, the sides are exchanged.

    Raises:
        ValueError: a number is not finite, or that of no image.
    """
    corners = _coordinates(boxes, 4, "boxes of four finite sides").reshape(-1, 2, 2)
    sides: Array = np.sort(corners, axis=1).reshape(-1, 4)
    centres = (sides[:, :2] + sides[:, 2:]) / 2 if points is None else points
    spans = (sides[:, 2:] - sides[:, :2]).clip(1.0)
    diameters: Array = np.sqrt(spans[:, 0] * spans[:, 1]).astype(np.float32)
    points = _coordinates(centres, 2, "finite coordinates")
    return Sample(path, points, diameters, sides, name=name, annotated_size=size)


def problem_of(numbers: Sequence[float]) -> str:
    """Say why numbers cannot be coordinates in an image; an empty text where they can be."""
    if not all(map(isfinite, numbers)):
        return "expected finite coordinates"
    return "expected pixels of an image" if any(abs(n) > _FURTHEST for n in numbers) else ""


def _coordinates(values: NDArray[np.floating], columns: int, expected: str) -> Array:
    """Return (N, columns) float32 of numbers that can be those of an image."""
    array = np.asarray(values, np.float64).reshape(-1, columns)
    if not np.isfinite(array).all():
        raise ValueError(f"expected {expected}")
    if (np.abs(array) > _FURTHEST).any():
        raise ValueError(f"expected pixels of an image, got {np.abs(array).max():g}")
    return array.astype(np.float32)
