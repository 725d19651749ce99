"""The ground under people whose heights are alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TRIES, _ROUNDS = 200, 5  # tilts that are tried, and how often between the best one's neighbours


def ground_under(
    feet: Array, heads: Array, height: float, focal: float, size: tuple[int, int]
) -> Array:
    """Return the map from pixels to metres on the ground, x to the right and y away, (3, 3).

    Args:
        feet: (N,) rows of people's feet in the picture, N >= 2.
        heads: (N,) rows of their heads, above their feet.
        height: metres from feet to head.
        focal: focal length in pixels.
        size: (width, height) of the picture in pixels, in whose middle the optical axis is.
    """
    middle_x, middle_y = size[0] / 2, size[1] / 2
    tilt, share = _tilt_of(feet - middle_y, heads - middle_y, focal)
    camera = height / (1 - share)  # metres above the ground
    sine, cosine = math.sin(tilt), math.cos(tilt)
    return np.array(
        [
            [camera, 0, -camera * middle_x],
            [0, -camera * sine, camera * (focal * cosine + sine * middle_y)],
            [0, cosine, focal * sine - cosine * middle_y],
        ]
    )


def _tilt_of(feet: Array, heads: Array, focal: float) -> tuple[float, float]:
    """Return the tilt at which people are as tall as each other, and the share above them.

    A camera looks down to feet and to heads at angles whose tangents have the same quotient for
    everybody: the share of the camera's height that is above the people. Of all tilts the one is
    taken whose heads are nearest to the rows where they were seen.

    Args:
        feet: (N,) rows of people's feet, in pixels below the middle of the picture.
        heads: (N,) rows of their heads, above their feet.
        focal: focal length in pixels.

    Returns:
        The angle in radians by which the camera looks down; and the camera's height above heads
        over that above the ground, below 1.
    """
    angles = np.arctan(feet / focal)
    # Feet are below the horizon, and before the camera.
    low, high = -angles.min() + 1e-6, math.pi / 2 - max(angles.max(), 0.0) - 1e-3
    tilt = share = 0.0
    for _ in range(_ROUNDS):
        tilts = np.linspace(low, high, _TRIES)[:, None]
        to_feet, to_heads = _down(feet, tilts, focal), _down(heads, tilts, focal)
        shares = (to_feet * to_heads).sum(1) / (to_feet**2).sum(1)
        rows = focal * np.tan(np.arctan(shares[:, None] * to_feet) - tilts)
        best = int(((rows - heads) ** 2).sum(1).argmin())
        tilt, share = float(tilts[best, 0]), float(shares[best])
        step = (high - low) / (_TRIES - 1)
        low, high = max(low, tilt - step), min(high, tilt + step)
    return tilt, share


def _down(rows: Array, tilts: Array, focal: float) -> Array:
    """Return the tangents of the angles below the horizon at which rows are seen, (tilts, N)."""
    sine, cosine = np.sin(tilts), np.cos(tilts)
    tangents: Array = (focal * sine + rows * cosine) / (focal * cosine - rows * sine)
    return tangents
