"""RAZ-Net's localization target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgecount.train.targets.points import cells_of

Array = NDArray[np.float32]


def cross_map(points: Array, height: int, width: int) -> Array:
    """Return (height, width) 1 at each head's pixel and its four neighbours, else 0.

    Each head dilated by the kernel [0 1 0; 1 1 1; 0 1 0] (RAZ-Net, CVPR 2019).
    """
    marked = np.zeros((height, width), np.float32)
    columns, rows = cells_of(points, 1, height, width)
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + down, columns + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        marked[y[inside], x[inside]] = 1.0
    return marked
