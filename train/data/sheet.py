"""A contact sheet of annotated images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from edgecount.drawing._labels import Run
from edgecount.errors import SourceError
from edgecount.train.data.sample import Image, Sample

_TILE = (400, 300)
_STRIP = 22  # px under each image, for its name
_GAP = 6
_HEAD = (60, 255, 60)
_REGION = (0, 200, 255)


def draw_sheet(samples: Sequence[Sample], number: int = 12, columns: int = 3) -> Image:
    """Draw some of the images with their heads, from the emptiest to the fullest.

    Boxes are drawn where heads have them, dots elsewhere, and the annotated region's outline.

    Args:
        samples: one or more; those that cannot be read are grey.
        number: images at most.
        columns: tiles in a row.

    Returns:
        uint8 (H, W, 3) BGR.
    """
    ordered = sorted(samples, key=lambda sample: len(sample.points))
    places = np.linspace(0, len(ordered) - 1, min(number, len(ordered))).round().astype(int)
    columns = min(columns, len(places))
    width, height = _TILE[0] + _GAP, _TILE[1] + _STRIP + _GAP
    rows = -(-len(places) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), 32, np.uint8)
    for index, place in enumerate(places):
        top, left = index // columns * height + _GAP, index % columns * width + _GAP
        sheet[top : top + _TILE[1] + _STRIP, left : left + _TILE[0]] = _tile(ordered[place])
    return sheet


def _tile(sample: Sample) -> Image:
    tile = np.full((_TILE[1] + _STRIP, _TILE[0], 3), 64, np.uint8)
    text = f"{sample.name}   {len(sample.points)}"
    try:
        drawn = _draw_fitted(sample)
    except SourceError:
        text = f"{sample.name}   unreadable"
    else:
        height, width = drawn.shape[:2]
        top, left = (_TILE[1] - height) // 2, (_TILE[0] - width) // 2
        tile[top : top + height, left : left + width] = drawn
    Run(text, 10).draw(tile, 4, _TILE[1] + 16)
    return tile


def _draw_fitted(sample: Sample) -> Image:
    """Draw the image with its heads, as large as fits a tile."""
    image = sample.image()
    scale = min(_TILE[0] / image.shape[1], _TILE[1] / image.shape[0])
    size = (max(int(image.shape[1] * scale), 1), max(int(image.shape[0] * scale), 1))
    drawn = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if isinstance(sample.region, np.ndarray):
        outline = np.round(sample.region * scale).astype(np.int32)
        cv2.polylines(drawn, [outline], True, _REGION)
    if sample.boxes is None:
        # Smaller dots in dense crowds, or nothing else is seen.
        radius = 2 if len(sample.points) < 300 else 1
        for x, y in np.floor(sample.points * scale).astype(int).tolist():
            cv2.circle(drawn, (x, y), radius, _HEAD, cv2.FILLED)
    else:
        for left, top, right, bottom in np.round(sample.boxes * scale).astype(int).tolist():
            cv2.rectangle(drawn, (left, top), (right, bottom), _HEAD)
    return drawn.astype(np.uint8, copy=False)
