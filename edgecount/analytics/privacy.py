"""Heads made unrecognisable, before a picture is stored or shown."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._heads import neighbour_distance
from edgecount.analytics._blend import check_whole
from edgecount.analytics._compare import take_image
from edgecount.errors import ConfigError, InputError
from edgecount.result import CountResult

Image = NDArray[np.uint8]

_SMALLEST, _LARGEST = 0.012, 0.09  # radii of heads, of the frame's longer side
_SPACING = 0.75  # radius by the distance to the nearest neighbours: heads touch shoulders
_CROWDED = 0.02  # people in a density cell from which on it is pixelated itself
_GRAINS = 4  # blocks across a head: too few for a face


def pixelate(
    image: Image,
    result: CountResult,
    *,
    radius: float | None = None,
    crowded: float = _CROWDED,
) -> Image:
    """Return a copy of the frame in which heads are pixelated.

    Every head gets a disc, as large as its box if there is one, and every cell of the density with
    people in it as well, so that crowds without points are covered. Who is not counted is not
    covered: this is a help, no guarantee.

    Args:
        image: uint8 (H, W, 3), BGR, the frame that was counted.
        result: its result.
        radius: radius of the discs in pixels; None: from the boxes or, without, from how near the
            neighbours are, and large where somebody stands alone.
        crowded: people in a cell of the density from which on it is covered; infinity: points
            alone.

    Raises:
        InputError: the image is another array, or not of the result's size; or the points are cut
            off (`EdgeCounter` on ``capacity``) where they alone say what to cover.
        ConfigError: the radius is not above 0, or ``crowded`` is negative.
    """
    image = take_image(image)
    height, width = image.shape[:2]
    if (width, height) != result.size:
        raise InputError(
            f"image: expected {result.size[0]} x {result.size[1]} px, as was counted, got "
            f"{width} x {height}"
        )
    if crowded == np.inf or not result.density.size:
        check_whole(result)  # else the density covers those beyond the last point
    if radius is not None and not 0 < radius < np.inf:
        raise ConfigError(f"radius: expected pixels above 0, got {radius!r}")
    if not crowded >= 0:
        raise ConfigError(f"crowded: expected people in a cell, 0 or more, got {crowded!r}")
    points = result.points[:, :2].astype(np.float64)
    # A disc as wide as both sides covers the whole frame from anywhere in it.
    radii = _radii(result) if radius is None else np.full(len(points), min(radius, width + height))
    grains = _grains(radii)
    covered = np.zeros((height, width), np.uint8)
    for (x, y), disc in zip(points, radii, strict=True):
        cv2.circle(covered, (int(x), int(y)), int(np.ceil(disc)), 255, cv2.FILLED)
    finest = grains
    if crowded < np.inf and result.density.size:
        finest = [*grains, *_grains(np.array(result.density_stride_xy) * _GRAINS / 2)]
        np.maximum(covered, _crowds(result, crowded), out=covered)
    out: Image = image.copy()
    if finest:
        blocks = _blocks(image, points, radii, grains, min(finest))
        coarse = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_NEAREST)
        cv2.copyTo(coarse, covered, out)
    return out


def _blocks(
    image: Image,
    points: NDArray[np.float64],
    radii: NDArray[np.float64],
    grains: list[int],
    finest: int,
) -> Image:
    """Return the frame in blocks of the finest grain; near coarser heads several are alike."""
    height, width = image.shape[:2]
    size = (max(width // finest, 1), max(height // finest, 1))
    blocks: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # OpenCV's: of any type
    small, share = blocks, np.array(size) / (width, height)
    masks = {grain: np.zeros(size[::-1], np.uint8) for grain in set(grains) if grain > finest}
    # Half a block more for the centre's rounding, and one for blocks that are cut.
    reaches = np.ceil(radii * share.max() + 1.5).astype(int).tolist()
    for centre, reach, grain in zip(
        (points * share).astype(int).tolist(), reaches, grains, strict=True
    ):
        if grain > finest:
            cv2.circle(masks[grain], centre, reach, 255, cv2.FILLED)
    # The coarsest come last: a near face in the small blocks of one behind it could be seen.
    for grain, mask in sorted(masks.items()):
        few = (max(width // grain, 1), max(height // grain, 1))
        small = cv2.resize(small, few, interpolation=cv2.INTER_AREA)
        cv2.copyTo(cv2.resize(small, size, interpolation=cv2.INTER_NEAREST), mask, blocks)
    found: Image = blocks
    return found


def _grains(radii: NDArray[np.float64]) -> list[int]:
    """Return the side of the blocks for each radius, px: powers of 2, four blocks or fewer."""
    powers = np.ceil(np.log2(np.maximum(2 * radii / _GRAINS, 2)))
    return [int(2**power) for power in powers]


def _crowds(result: CountResult, crowded: float) -> Image:
    """Return 255 where the density, or a cell beside it, has people, (H, W)."""
    cells = (result.density >= max(crowded, 1e-9)).astype(np.uint8) * 255
    grown = cv2.dilate(cells, np.ones((3, 3), np.uint8)).astype(np.uint8, copy=False)
    width, height = result.size
    wide, tall = result.density_stride_xy
    x = np.minimum((np.arange(width) / wide).astype(np.int64), grown.shape[1] - 1)
    y = np.minimum((np.arange(height) / tall).astype(np.int64), grown.shape[0] - 1)
    mask: Image = grown[y][:, x]  # faster than by both at once
    return mask


def _radii(result: CountResult) -> NDArray[np.float64]:
    """Return a radius for each head by its box, or the two nearest neighbours, (N,) px."""
    points, side = result.points[:, :2].astype(np.float64), max(result.size)
    radii: NDArray[np.float64]
    if result.boxes is not None:
        corner = np.maximum(points - result.boxes[:, :2], result.boxes[:, 2:] - points)
        radii = np.maximum(np.hypot(*corner.T), _SMALLEST * side)
        return radii
    radii = np.clip(_SPACING * neighbour_distance(points), _SMALLEST * side, _LARGEST * side)
    return radii
