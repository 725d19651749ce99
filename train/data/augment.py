"""Random crops, whose count is exactly that of their points, and images of nothing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import Crop
from edgecount.train.data.windows import CropRule, CropWindow, draw_window

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

AWAY = (24.0, 64.0)  # px, sigmas of a blur in which nobody is left


def random_crop(
    image: Image,
    points: Array,
    sizes: Array,
    boxes: Array,
    rule: CropRule,
    rng: np.random.Generator,
    *,
    region: NDArray[np.bool_] | None = None,
) -> Crop:
    """Cut a crop at a random scale; see :func:`draw_window` for how it is placed.

    Args:
        image: uint8 (H, W, 3).
        points: (N, 2) x, y in px.
        sizes: (N,) head diameters in px.
        boxes: (N, 4) left, top, right, bottom in px.
        rule: size, scales and place of the crops.
        rng: source of everything random.
        region: (H, W) the annotated pixels; None: all.
    """
    drawn = draw_window(image.shape[0], image.shape[1], rule, rng)
    patch = image[drawn.top : drawn.bottom, drawn.left : drawn.right]
    if not drawn.is_native:
        resized = cv2.resize(patch, (drawn.width, drawn.height), interpolation=drawn.interpolation)
        patch = resized.astype(np.uint8, copy=False)
    if drawn.mirrored:
        patch = patch[:, ::-1]
    cut = np.zeros((*drawn.size, 3), np.uint8)
    cut[: drawn.height, : drawn.width] = patch
    points = pull_inside(points, image.shape[1], image.shape[0])
    heads = move_annotations(drawn, points, sizes, boxes)
    return Crop(cut, *heads, None if region is None else cut_region(drawn, region))


def cut_region(window: CropWindow, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the annotated pixels of a crop, (h, w), from the image's (H, W).

    A pixel of a resampled crop is annotated where the image's pixel nearest to its centre is.
    """
    patch = region[window.top : window.bottom, window.left : window.right]
    rows, columns = (
        ((np.arange(length) + 0.5) * (side / length)).astype(int)
        for side, length in zip(patch.shape, (window.height, window.width), strict=True)
    )
    patch = patch[rows[:, None], columns]
    cut = np.zeros(window.size, np.bool_)
    cut[: window.height, : window.width] = patch[:, ::-1] if window.mirrored else patch
    return cut


def move_annotations(
    window: CropWindow, points: Array, sizes: Array, boxes: Array
) -> tuple[Array, Array, Array]:
    """Return the points, sizes and boxes of the heads in a crop, in its pixels.

    Args:
        window: place of the crop.
        points: (N, 2) x, y in px of the image; those outside the window are dropped.
        sizes: (N,) head diameters in px.
        boxes: (N, 4) left, top, right, bottom in px.
    """
    first = np.array([window.left, window.top], np.float32)
    last = np.array([window.right, window.bottom], np.float32)
    inside = ((points >= first) & (points < last)).all(axis=1)
    ratio = np.array([window.width, window.height], np.float32) / (last - first)
    points = (points[inside] - first) * ratio
    boxes = (boxes[inside] - np.tile(first, 2)) * np.tile(ratio, 2)
    if window.mirrored:
        points[:, 0] = window.width - points[:, 0]
        boxes[:, [0, 2]] = window.width - boxes[:, [2, 0]]
    # A mirrored point on the left edge lands on the right edge itself, one step outside.
    limit = np.nextafter(np.array([window.width, window.height], np.float32), np.float32(0.0))
    sizes = sizes[inside] * np.float32(np.sqrt(ratio.prod()))
    return np.clip(points, 0, limit), sizes, boxes


def pull_inside(points: Array, width: int, height: int) -> Array:
    """Move points up to 1 px outside the image, by clicks and rounding, onto its last pixels.

    Those further out stay where they are, and are in no crop.
    """
    edge = np.array([width, height], np.float32)
    near = ((points >= -1) & (points <= edge + 1)).all(axis=1, keepdims=True)
    moved: Array = np.where(
        near, np.clip(points, 0, np.nextafter(edge, np.float32(0.0))), points
    ).astype(np.float32)
    return moved


def blurred_away(image: Image, rng: np.random.Generator) -> Image:
    """Blur a photo until hardly anything can be made out."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(*AWAY)).astype(np.uint8, copy=False)


def blank_crop(crop: int, rng: np.random.Generator) -> Image:
    """Draw an image of nothing: a flat colour, a ramp, or noise of some grain."""
    kind = rng.integers(4)
    colours = rng.uniform(0, 255, (2, 3)) * (1.0 if rng.random() < 0.5 else 0.0)
    colours = colours + rng.uniform(0, 255) * (colours.max() == 0)
    if kind == 0:
        x = np.broadcast_to(colours[0], (crop, crop, 3)).astype(np.float64)
    elif kind == 1:
        ramp = np.linspace(0, 1, crop)[:, None, None]
        x = np.broadcast_to(colours[0] * ramp + colours[1] * (1 - ramp), (crop, crop, 3))
    else:
        # Fine grain is what sensors have, and what is most easily taken for heads.
        grain = int(np.exp(rng.uniform(0, np.log(24))))
        small = rng.normal(0, rng.uniform(3, 100), (crop // grain + 1, crop // grain + 1, 3))
        x = colours[0] + cv2.resize(small, (crop, crop), interpolation=cv2.INTER_CUBIC)
    return np.clip(x, 0, 255).astype(np.uint8)
