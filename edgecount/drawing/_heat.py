"""The density map as a transparent heat layer."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Below this share of the scale nothing is painted, so that an empty street stays as it was shot.
_FLOOR = 0.05
_OPACITY = 0.8
# Inferno starts in black, which over a photograph reads as shadow; the first part is left out.
_FIRST_COLOUR = 85
_SMALLEST_TOP = 0.05
# A good model puts a person into a cell or two: the mean over some cells shows how dense the crowd
# is, where single cells would show dots.
_BLUR_CELLS = 1.5


@dataclass(frozen=True)
class HeatScale:
    """The density, in people per cell, that the hottest colour stands for.

    Attributes:
        top: people per density cell at the upper end of the colour bar; above 0.
    """

    top: float

    @classmethod
    def fit(cls, density: NDArray[np.float32], at_least: HeatScale | None = None) -> HeatScale:
        """Choose a round number that covers a density map, averaged over neighbouring cells.

        Args:
            density: float32 (h, w), people per cell.
            at_least: lower limit of the scale; pass the last frame's scale to keep the colours of
                a video comparable.
        """
        highest = float(_average(density).max()) if density.size else 0.0
        top = _round_up(max(highest, _SMALLEST_TOP))
        return cls(max(top, at_least.top) if at_least else top)


def _average(density: NDArray[np.float32]) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(density, (0, 0), _BLUR_CELLS, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(density.shape)


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 3, 4, 5, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    for step in (1, 2, 3, 4, 5, 6, 8):
        if value <= step * power * (1 + 1e-6):
            return float(f"{step * power:.1g}")
    return 10 * power


@functools.cache
def colours() -> NDArray[np.uint8]:
    """Return the heat colours from no one to the top of the scale: uint8 (256, 3), BGR."""
    ramp = np.linspace(_FIRST_COLOUR, 255, 256).round().astype(np.uint8).reshape(256, 1)
    return np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0], np.uint8)


@functools.cache
def _layers() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return colour times opacity, and 255 minus opacity, of 256 levels: (1, 256, 3) each."""
    level = np.linspace(0.0, 1.0, 256)
    painted = np.clip((level - _FLOOR) / (1 - _FLOOR), 0.0, 1.0)
    alpha = (_OPACITY * painted**0.4)[:, None]
    paint = np.rint(colours() * alpha).astype(np.uint8)
    keep = np.rint(255 * (1 - alpha)).astype(np.uint8)
    return paint[None], np.repeat(keep, 3, axis=1)[None]


def paint_heat(
    canvas: NDArray[np.uint8],
    density: NDArray[np.float32],
    cell: tuple[float, float],
    scale: HeatScale,
) -> NDArray[np.uint8]:
    """Blend a density map, averaged over neighbouring cells, over a picture.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        density: float32 (h, w), people per cell.
        cell: width and height of a density cell in canvas pixels; the grid starts at (0, 0) and
            may reach past the right and lower border.
        scale: density of the hottest colour.

    Returns:
        A new uint8 (H, W, 3) picture.
    """
    height, width = canvas.shape[:2]
    levels = np.clip(_average(density) * (255.0 / scale.top), 0, 255).astype(np.uint8)
    # warpAffine, not resize: the grid need not end where the frame does. It maps pixel centres.
    to_cell = np.array(
        [[1 / cell[0], 0, 0.5 / cell[0] - 0.5], [0, 1 / cell[1], 0.5 / cell[1] - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    level = cv2.warpAffine(
        levels, to_cell, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    level = cv2.merge([level, level, level])
    paint, keep = _layers()
    kept = cv2.multiply(canvas, cv2.LUT(level, keep), scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.LUT(level, paint)), np.uint8)
