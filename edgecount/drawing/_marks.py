"""Head points as dots, heads and regions as outlines."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._labels import INK, Colour
from edgecount.result import CountResult

DOT: Colour = (255, 245, 150)
# Told apart from each other, from the dot and from inferno's purple to yellow.
REGION_COLOURS: tuple[Colour, ...] = (
    (255, 200, 60),
    (140, 230, 90),
    (255, 150, 190),
    (235, 235, 235),
    (210, 190, 20),
    (160, 255, 230),
)
_DOT_OF_RING = 0.45  # radius of a dot, of that of a ring around the head
SHIFT = 4  # OpenCV's drawing takes fixed-point coordinates: 4 fractional bits


def fixed(coordinates: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.int32]:
    """Convert coordinates, pixel i covers [i, i+1), to OpenCV's, where i is a pixel's centre."""
    # The limit keeps far-away corners of a region within what OpenCV can shift without overflow.
    limited = np.clip(np.asarray(coordinates, np.float64) - 0.5, -30000.0, 30000.0)
    return np.rint(limited * (1 << SHIFT)).astype(np.int32)


def ring_radii(size: tuple[int, int], points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each ring's radius in pixels: a share of the frame, smaller where heads stand close.

    Args:
        size: (width, height) of the canvas in pixels.
        points: float32 (N, 2 or more): x, y in canvas pixels.

    Returns:
        float64 (N,).
    """
    width, height = size
    side = max(1.0, math.hypot(width, height) / 60)  # of a block in which heads are counted
    columns, rows = math.ceil(width / side), math.ceil(height / side)
    # Heads may be annotated outside of the frame.
    cell = np.clip(points[:, :2] / side, 0, (columns - 1, rows - 1)).astype(np.intp)
    place = cell[:, 1] * columns + cell[:, 0]
    heads = np.bincount(place, minlength=rows * columns).reshape(rows, columns)
    around = np.asarray(cv2.blur(heads.astype(np.float64), (3, 3), borderType=cv2.BORDER_ISOLATED))
    spacing = side / np.sqrt(np.maximum(around.ravel()[place], 1e-3))
    largest = max(2.5, math.hypot(width, height) / 220)
    radii: NDArray[np.float64] = np.clip(0.27 * spacing, 1.5, largest)
    return radii


def draw_heads(canvas: NDArray[np.uint8], result: CountResult) -> None:
    """Mark a result's heads, in place: by their boxes or, of a model without, by dots."""
    if result.boxes is None:
        draw_points(canvas, result.points)
    else:
        draw_boxes(canvas, result.boxes)


def draw_points(canvas: NDArray[np.uint8], points: NDArray[np.float32]) -> None:
    """Mark the heads by dots, in place: bright on dark, so that they show on any ground.

    A dot is small, so that the head is still to be seen.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        points: float32 (N, 2 or more): x, y in canvas pixels.
    """
    height, width = canvas.shape[:2]
    radii = np.maximum(_DOT_OF_RING * ring_radii((width, height), points), 1.3)
    centres = fixed(points[:, :2]).tolist()
    for colour, edge in ((INK, np.maximum(1.0, radii / 3)), (DOT, 0.0)):
        fixed_radii = np.rint((radii + edge) * (1 << SHIFT)).astype(int).tolist()
        for (x, y), radius in zip(centres, fixed_radii, strict=True):
            cv2.circle(canvas, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def draw_boxes(canvas: NDArray[np.uint8], boxes: NDArray[np.float32]) -> None:
    """Outline the heads, in place: bright beside dark, so that they show on any ground.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        boxes: float32 (N, 4): left, top, right and bottom in canvas pixels.
    """
    height, width = canvas.shape[:2]
    line = max(1, round(math.hypot(width, height) / 1200))
    corners = fixed(boxes).tolist()
    for colour, thickness in ((INK, line + 2), (DOT, line)):
        for left, top, right, bottom in corners:
            cv2.rectangle(
                canvas, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA, SHIFT
            )


def draw_region(
    canvas: NDArray[np.uint8], polygon: NDArray[np.float64], colour: Colour, line: int
) -> None:
    """Outline a region, in place.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        polygon: float (N, 2): corners x, y in canvas pixels; may lie outside of the canvas.
        colour: BGR, 0 to 255.
        line: width of the coloured line in pixels.
    """
    corners = [fixed(polygon).reshape(-1, 1, 2)]
    for stroke, thickness in ((INK, line + max(2, line // 2)), (colour, line)):
        cv2.polylines(canvas, corners, True, stroke, thickness, cv2.LINE_AA, SHIFT)
