"""The density map as a transparent heat layer."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.result import CountResult

# Below this share of the scale nothing is painted, so that an empty street stays as it was shot.
_FLOOR = 0.05
_OPACITY = 0.6  # of the densest crowd, whose people are still to be seen
# Inferno starts in black, which over a photograph reads as shadow; the first part is left out.
_FIRST_COLOUR = 85
_AREA = 100.0 * 100.0  # px, that the scale is in people of
# A good model puts a person into a cell or two: the mean over an area shows how dense the crowd
# is, where single cells would show dots. It grows with the frame, as people do.
_BLUR_CELLS = 1.5
_BLUR_OF_DIAGONAL = 1 / 60
# People who stand so far apart are the least that the hottest colour stands for.
_SPACING_OF_DIAGONAL = 1 / 35
_MOST = 99.0  # percentile that a scale covers: a denser spot has the hottest colour, too


@dataclass(frozen=True)
class HeatScale:
    """The density that the hottest colour stands for.

    Attributes:
        top: people per 100 x 100 pixels of the frame at the upper end of the colour bar; above 0.
    """

    top: float

    @classmethod
    def fit(cls, result: CountResult) -> HeatScale:
        """Choose a round number for a frame, and for those of the same camera that follow it.

        It depends on the frame's size alone, unless the crowd is denser than that has room for. So
        pictures of one size have the same colours, and a clip keeps those of its first frame.
        """
        spacing = _SPACING_OF_DIAGONAL * math.hypot(*result.size)
        people = _average(result)
        highest = float(np.percentile(people, _MOST)) if people.size else 0.0
        return cls(_round_up(max(_AREA / max(spacing, 1.0) ** 2, highest)))

    def levels(self, result: CountResult) -> NDArray[np.uint8]:
        """Return how hot each cell of a density map is drawn, where the heat is drawn elsewhere.

        Args:
            result: result with a density map.

        Returns:
            uint8 (h, w): 0 for no one to 255 for `top` and more, averaged over an area.
        """
        return np.asarray(np.clip(_average(result) * (255.0 / self.top), 0, 255), np.uint8)


def _average(result: CountResult) -> NDArray[np.float32]:
    """Return float32 (h, w): people per 100 x 100 pixels around each cell of the density."""
    if not result.density.size:
        return result.density
    width, height = result.density_stride_xy
    sigmas = [
        max(_BLUR_CELLS, _BLUR_OF_DIAGONAL * math.hypot(*result.size) / side)
        for side in (width, height)
    ]
    density: NDArray[np.float32] = result.density * np.float32(_AREA / (width * height))
    border = cv2.BORDER_REFLECT
    blurred = cv2.GaussianBlur(density, (0, 0), sigmas[0], sigmaY=sigmas[1], borderType=border)
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
    alpha = (_OPACITY * painted**0.6)[:, None]
    paint = np.rint(colours() * alpha).astype(np.uint8)
    keep = np.rint(255 * (1 - alpha)).astype(np.uint8)
    return paint[None], np.repeat(keep, 3, axis=1)[None]


def paint_heat(
    canvas: NDArray[np.uint8], result: CountResult, scale: HeatScale
) -> NDArray[np.uint8]:
    """Blend a density map, averaged over an area, over a picture.

    Args:
        canvas: uint8 (H, W, 3), BGR, of the result's size.
        result: result with a density map, whose grid may reach past the right and lower border.
        scale: density of the hottest colour.

    Returns:
        A new uint8 (H, W, 3) picture.
    """
    height, width = canvas.shape[:2]
    levels = scale.levels(result)
    # warpAffine, not resize: the grid need not end where the frame does. It maps pixel centres.
    cell = result.density_stride_xy
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
