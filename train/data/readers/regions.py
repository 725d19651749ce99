"""The annotated part of an image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def inside_polygon(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """Return (N,) whether (N, 2) points lie in the (K, 2) polygon, by the parity of crossings."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    rise = end[:, 1] - start[:, 1]
    crossing = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / np.where(
        rise == 0, 1, rise
    )
    crossed: NDArray[np.int_] = (spans & (x < crossing)).sum(axis=1)
    return np.asarray(crossed % 2 == 1, np.bool_)


def inside_mask(points: Array, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (N,) whether (N, 2) points lie on pixels that are set in the (H, W) mask."""
    column, row = np.floor(points).astype(int).T
    height, width = mask.shape
    within = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    found = mask[row.clip(0, height - 1), column.clip(0, width - 1)]
    return np.asarray(within & found, np.bool_)


def outline(mask: NDArray[np.bool_]) -> Array:
    """Return a (K, 2) polygon x, y that fills the mask again; bare lines join several parts.

    Raises:
        ValueError: nothing is set.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise ValueError("expected a region of interest, the mask is empty")
    rings = [contour.reshape(-1, 2) for contour in contours]
    closed = [np.concatenate([ring, ring[:1]]) for ring in rings]
    # Back over the first points of all rings, so that the bridges enclose nothing.
    back = np.array([ring[0] for ring in rings[-2::-1]]).reshape(-1, 2)
    polygon: Array = np.concatenate([*closed, back]).astype(np.float32)
    return polygon
