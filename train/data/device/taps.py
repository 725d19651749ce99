"""Resizing as a weighted sum of source pixels: the kernels of OpenCV as indices and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Weights = NDArray[np.float32]

_CUBIC = -0.75  # OpenCV's parameter of Keys' kernel


@dataclass(frozen=True, eq=False)
class Taps:
    """Source pixels of each target pixel along one axis.

    Attributes:
        indices: (N, K) int64 source positions.
        weights: (N, K) float32, which sum to 1 along K.
    """

    indices: Indices
    weights: Weights


def axis_taps(source: int, target: int, interpolation: int, *, enlarging: bool = False) -> Taps:
    """Return the taps that resize an axis as ``cv2.resize`` does, up to its fixed-point rounding.

    Args:
        source: length of the axis in the image, px.
        target: length in the result.
        interpolation: ``cv2.INTER_NEAREST``, ``LINEAR``, ``CUBIC``, ``AREA`` or ``LANCZOS4``.
        enlarging: whether either axis of the image is enlarged: then AREA takes two pixels, and
            no area.
    """
    if source == target:
        positions = np.arange(target)[:, None]
        return Taps(positions, np.ones((target, 1), np.float32))
    ratio = 1 / (
        target / source
    )  # in the order of OpenCV, whose nearest pixel hangs on the last bit
    starts = np.arange(target, dtype=np.float64)
    if interpolation == cv2.INTER_NEAREST:
        nearest = np.minimum(np.floor(starts * ratio), source - 1).astype(np.int64)
        return Taps(nearest[:, None], np.ones((target, 1), np.float32))
    if interpolation == cv2.INTER_AREA and not enlarging:
        return _area(source, target)
    if interpolation == cv2.INTER_AREA:
        first = np.floor(starts * ratio)
        share = (starts + 1) - (first + 1) / ratio
        share = np.where(share <= 0, 0.0, share - np.floor(share))
        return _linear(first, share, source)
    centres = (starts + 0.5) * ratio - 0.5
    first = np.floor(centres)
    share = centres - first
    if interpolation == cv2.INTER_LINEAR:
        return _linear(first, share, source)
    offsets = np.arange(-1, 3) if interpolation == cv2.INTER_CUBIC else np.arange(-3, 5)
    kernel = _keys if interpolation == cv2.INTER_CUBIC else _lanczos
    weights = kernel(share[:, None] - offsets)
    weights /= weights.sum(axis=1, keepdims=True)
    indices = np.clip(first[:, None] + offsets, 0, source - 1)
    return Taps(indices.astype(np.int64), weights.astype(np.float32))


def _linear(first: NDArray[np.float64], share: NDArray[np.float64], source: int) -> Taps:
    """Return two taps a pixel; beyond the first and last centres the edge's value holds."""
    outside = (first < 0) | (first >= source - 1)
    first = np.clip(first, 0, source - 1)
    share = np.where(outside, 0.0, share)
    indices = np.stack([first, np.minimum(first + 1, source - 1)], axis=1).astype(np.int64)
    return Taps(indices, np.stack([1 - share, share], axis=1).astype(np.float32))


def _area(source: int, target: int) -> Taps:
    """Return the taps of the mean over each target pixel's area in the source."""
    edges = np.arange(target + 1) * (source / target)
    first = np.floor(edges[:-1]).astype(np.int64)
    number = int(np.ceil(source / target)) + 1
    indices = first[:, None] + np.arange(number)
    # The part of each source pixel that lies between the target pixel's edges.
    covered = np.minimum(indices + 1, edges[1:, None]) - np.maximum(indices, edges[:-1, None])
    covered = np.clip(covered, 0, None)
    covered[covered < 1e-3] = 0.0  # as OpenCV leaves out slivers
    weights = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return Taps(np.minimum(indices, source - 1), weights)


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic convolution kernel (1981)."""
    x = np.abs(distance)
    near = ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1
    far = ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Lanczos kernel of eight pixels."""
    return np.sinc(distance) * np.sinc(distance / 4)


def crop_taps(
    source: tuple[int, int], target: tuple[int, int], interpolation: int
) -> tuple[Taps, Taps]:
    """Return the taps of the rows and of the columns of an image, (height, width) each."""
    enlarging = source[0] < target[0] or source[1] < target[1]
    rows, columns = (
        axis_taps(old, new, interpolation, enlarging=enlarging)
        for old, new in zip(source, target, strict=True)
    )
    return rows, columns


def stack_taps(taps: Sequence[Taps], length: int) -> Taps:
    """Return the taps of several crops, (B, length, K); pixels beyond a crop's end weigh 0."""
    most = max(one.weights.shape[1] for one in taps)
    indices = np.zeros((len(taps), length, most), np.int64)
    weights = np.zeros((len(taps), length, most), np.float32)
    for place, one in enumerate(taps):
        rows, columns = one.weights.shape
        indices[place, :rows, :columns] = one.indices
        weights[place, :rows, :columns] = one.weights
    return Taps(indices, weights)
