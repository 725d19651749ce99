"""Smooth random fields for clouds, grime, foliage and folds."""

from __future__ import annotations

import cv2
import numpy as np

from edgecount.scenes.arrays import Floats


def clouds(
    rng: np.random.Generator, height: int, width: int, *, cells: float = 4.0, octaves: int = 4
) -> Floats:
    """Draw fractal noise of shape (height, width), zero mean, about unit deviation.

    Args:
        rng: source of randomness.
        height: number of rows.
        width: number of columns.
        cells: number of blobs of the coarsest octave along the longer side.
        octaves: number of layers, each twice as fine and half as strong as the one before.
    """
    total = np.zeros((height, width), np.float32)
    longer = max(height, width)
    for octave in range(octaves):
        count = cells * 2**octave
        rows = int(np.clip(round(count * height / longer), 2, max(height, 2)))
        columns = int(np.clip(round(count * width / longer), 2, max(width, 2)))
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), np.float32)


def tile(rng: np.random.Generator, side: int, *, sigma: float) -> Floats:
    """Draw periodic blurred noise of shape (side, side), zero mean, unit deviation."""
    grid = rng.standard_normal((side, side), dtype=np.float32)
    reach = min(side, int(4 * sigma) + 1)
    wrapped = cv2.copyMakeBorder(grid, reach, reach, reach, reach, cv2.BORDER_WRAP)
    smooth = cv2.GaussianBlur(wrapped, (0, 0), sigma)[reach:-reach, reach:-reach]
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-6), np.float32)
