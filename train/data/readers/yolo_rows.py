"""The rows of YOLO's label files: boxes, polygons, oriented boxes, keypoints.

A row does not say what it is. Its length does, but for keypoints: after a class and a box of 5
numbers they may be as many as the corners of a polygon. So rows of keypoints are read only where
the set's ``data.yaml`` has ``kpt_shape``; elsewhere a row that may be one is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.readers.text import read_text

_BOX, _CONFIDENT, _TRIANGLE = 5, 6, 7
# Shares may lie a little outside, where a head is cut by the image's edge.
_LEAST, _MOST = -1.0, 2.0
# A polygon's second corner lies within this many times the extent of the others from them: a
# parallelogram's within one extent, a triangle's, of which only two others are left, further.
_CLOSE, _APART = 1.001, 3.0
_AMBIGUOUS = (
    "expected class, x, y, width, height or the corners of a polygon, got what may be keypoints: "
    "give the set a data.yaml with kpt_shape: [keypoints, 2 or 3]"
)


@dataclass(frozen=True)
class Label:
    """One annotated object.

    Attributes:
        kind: the number of its class.
        box: centre x, y, width and height, as shares of the image's sides.
        confident: True if the row ends with a confidence.
    """

    kind: int
    box: tuple[float, float, float, float]
    confident: bool = False


def read_labels(path: Path, keypoints: tuple[int, int] | None = None) -> list[Label]:
    """Read a file of labels.

    Args:
        path: the file.
        keypoints: number of keypoints behind each box and numbers of each, where the set says so.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is none of the known kinds; the message says which.
    """
    labels = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            labels.append(_label(_numbers(line), keypoints))
        except ValueError as error:
            raise ValueError(f"{error}, in line {number}") from error
    return labels


def _numbers(line: str) -> list[float]:
    values = [float(word) for word in line.replace(",", " ").split()]
    if not all(map(isfinite, values)):
        raise ValueError("expected finite numbers")
    if values[0] != int(values[0]) or values[0] < 0:
        raise ValueError(f"expected the number of a class first, got {values[0]:g}")
    return values


def _label(values: list[float], keypoints: tuple[int, int] | None) -> Label:
    kind, count = int(values[0]), len(values)
    if keypoints is not None:
        expected = _BOX + keypoints[0] * keypoints[1]
        if count not in (_BOX, expected):
            raise ValueError(f"expected {expected} numbers by data.yaml's kpt_shape, got {count}")
        return Label(kind, _box(values[1:_BOX]))
    if count == _BOX:
        return Label(kind, _box(values[1:]))
    if count == _CONFIDENT:
        if not 0 <= values[5] <= 1:
            raise ValueError(
                f"expected a confidence from 0 to 1 as sixth number, got {values[5]:g}"
            )
        return Label(kind, _box(values[1:_BOX]), confident=True)
    if count < _BOX:
        raise ValueError(f"expected class, x, y, width and height, got {count} numbers")
    if count % 2 == 0:
        raise ValueError(f"{_AMBIGUOUS} ({count} numbers)")
    return Label(kind, _bounds(_corners(values)))


def _box(values: list[float]) -> tuple[float, float, float, float]:
    _check_shares(values)
    x, y, width, height = values
    if width < 0 or height < 0:
        raise ValueError(f"expected a width and a height of 0 or more, got {width:g}, {height:g}")
    return x, y, width, height


def _check_shares(values: list[float]) -> None:
    if max(values) > _MOST or min(values) < _LEAST:
        raise ValueError("expected shares of the image's sides, from 0 to 1, got pixels")


def _corners(values: list[float]) -> NDArray[np.float64]:
    """Return the (N, 2) corners of a row that is a polygon.

    Raises:
        ValueError: it may be a box with keypoints behind it, or has pixels.
    """
    behind = values[_BOX:]
    if len(behind) % 3 == 0 and set(behind[2::3]) <= {0.0, 1.0, 2.0}:
        raise ValueError(f"{_AMBIGUOUS} (each third number is 0, 1 or 2)")
    _check_shares(values[1:])
    corners = np.array(values[1:], np.float64).reshape(-1, 2)
    # Of a box with keypoints the second pair is width and height, far from the others, of which
    # those at 0, 0 are not seen.
    others = np.delete(corners, 1, axis=0)
    seen = others[(others != 0).any(axis=1)]
    if len(seen):
        low, high = seen.min(axis=0), seen.max(axis=0)
        reach = (high - low).max() * (_APART if len(values) == _TRIANGLE else _CLOSE)
        apart = np.maximum(low - corners[1], corners[1] - high).max()
        if apart > reach:
            raise ValueError(f"{_AMBIGUOUS} (the second corner lies apart from the others)")
    return corners


def _bounds(corners: NDArray[np.float64]) -> tuple[float, float, float, float]:
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y = ((low + high) / 2).tolist()
    width, height = (high - low).tolist()
    return x, y, width, height
