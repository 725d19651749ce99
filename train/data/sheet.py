"""A contact sheet of annotated images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._labels import Colour, Run
from edgecount.errors import SourceError
from edgecount.train.data.sample import Image, Sample

_TILE = (400, 300)
_STRIP = 22  # px under each image, for its name
_GAP = 6
_CAPITAL = 10  # px, of the name
_SPACE = 12  # px between the parts of a caption
_HEAD = (60, 255, 60)
_REGION = (0, 200, 255)
_POINT = (255, 110, 255)


@dataclass(frozen=True, eq=False)
class Found:
    """Hold what a model finds in an image.

    Attributes:
        count: its count.
        points: (P, 2 or more) x and y of its head points in px of the image; (0, 3) if it has none.
        is_unannotated: (P,) which of them are near no annotated head.
    """

    count: float
    points: NDArray[np.float32]
    is_unannotated: NDArray[np.bool_]


def draw_sheet(
    samples: Sequence[Sample],
    number: int = 12,
    columns: int = 3,
    found: Mapping[Sample, Found] | None = None,
) -> Image:
    """Draw some of the images with their heads, from the emptiest to the fullest.

    Boxes are drawn where heads have them, dots elsewhere, and the annotated region's outline.

    Args:
        samples: one or more; those that cannot be read are grey.
        number: images at most.
        columns: tiles in a row.
        found: what a model finds in some of them, which are drawn first, in this order. Its points
            have a colour of their own, which the caption names: crosses where no head is annotated,
            dots elsewhere.

    Returns:
        uint8 (H, W, 3) BGR.
    """
    found = found or {}
    chosen = [*found][:number]
    ordered = sorted((s for s in samples if s not in found), key=lambda sample: len(sample.points))
    left_over = min(number - len(chosen), len(ordered))
    places = np.linspace(0, len(ordered) - 1, left_over).round().astype(int)
    chosen += [ordered[place] for place in places]
    columns = min(columns, len(chosen))
    width, height = _TILE[0] + _GAP, _TILE[1] + _STRIP + _GAP
    rows = -(-len(chosen) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), 32, np.uint8)
    for index, sample in enumerate(chosen):
        top, left = index // columns * height + _GAP, index % columns * width + _GAP
        tile = _tile(sample, found.get(sample))
        sheet[top : top + _TILE[1] + _STRIP, left : left + _TILE[0]] = tile
    return sheet


def _tile(sample: Sample, found: Found | None) -> Image:
    tile = np.full((_TILE[1] + _STRIP, _TILE[0], 3), 64, np.uint8)
    try:
        drawn = _draw_fitted(sample, found)
    except SourceError:
        Run(f"{sample.name}   unreadable", _CAPITAL).draw(tile, 4, _TILE[1] + 16)
        return tile
    height, width = drawn.shape[:2]
    top, left = (_TILE[1] - height) // 2, (_TILE[0] - width) // 2
    tile[top : top + height, left : left + width] = drawn
    if found is None:
        Run(f"{sample.name}   {len(sample.points)}", _CAPITAL).draw(tile, 4, _TILE[1] + 16)
    else:
        _draw_legend(tile, sample, found)
    return tile


def _draw_legend(tile: Image, sample: Sample, found: Found) -> None:
    """Write name and numbers under a tile, in place; each number has the colour of its marks."""
    numbers: list[tuple[str, Colour]] = [
        (f"{len(sample.points)} annotated", _HEAD),
        (f"{found.count:.0f} counted", _POINT),
    ]
    runs = [Run(text, _CAPITAL, colour) for text, colour in numbers]
    room = _TILE[0] - 8 - sum(run.width + _SPACE for run in runs)
    name = sample.name
    while name and Run(name, _CAPITAL).width > room:  # the numbers are the legend: names give way
        name = name[:-1]
    left = 4
    for run in (Run(name, _CAPITAL), *runs):
        run.draw(tile, left, _TILE[1] + 16)
        left += run.width + _SPACE


def _draw_fitted(sample: Sample, found: Found | None) -> Image:
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
    if found is not None:
        _draw_points(drawn, found, scale)
    return drawn.astype(np.uint8, copy=False)


def _draw_points(drawn: NDArray[np.integer | np.floating], found: Found, scale: float) -> None:
    """Mark a model's points on an image that was scaled, in place."""
    places = np.floor(found.points[:, :2] * scale).astype(int).tolist()
    for (x, y), alone in zip(places, found.is_unannotated.tolist(), strict=True):
        if alone:
            cv2.drawMarker(drawn, (x, y), _POINT, cv2.MARKER_TILTED_CROSS, 7)
        else:
            cv2.circle(drawn, (x, y), 1, _POINT, cv2.FILLED)
