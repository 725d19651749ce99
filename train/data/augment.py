"""Random crops, whose count is exactly that of their points, and images of nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import Crop

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

KERNELS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)
AWAY = (24.0, 64.0)  # px, sigmas of a blur in which nobody is left


@dataclass(frozen=True)
class CropWindow:
    """A rectangle of an image, and the part of a crop that it fills.

    Attributes:
        left: first column of the image, px.
        top: first row.
        right: column after the last.
        bottom: row after the last.
        height: height in the crop, px; what lies below is black.
        width: width in the crop; what lies to the right is black.
        interpolation: OpenCV's number of the resizing kernel.
        mirrored: whether left and right are exchanged.
    """

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int
    interpolation: int
    mirrored: bool

    @property
    def is_native(self) -> bool:
        """Return whether the image's own pixels are taken, none interpolated."""
        return (self.height, self.width) == (self.bottom - self.top, self.right - self.left)


def draw_window(
    height: int,
    width: int,
    *,
    size: tuple[int, int],
    scale: tuple[float, float],
    window: Literal["free", "quarters"] = "free",
    native: float = 0.0,
    kernels: float = 0.0,
    rng: np.random.Generator,
) -> CropWindow:
    """Draw the place of a crop at a random scale, mirrored half the time.

    The scale is log-uniform in ``scale``. Where the scaled image is smaller than the crop, the
    rest is black, as the runtime's padding is.

    Args:
        height: height of the image, px.
        width: width of the image.
        size: height and width of the crop.
        scale: the least and the largest scale.
        window: ``free``: anywhere; ``quarters``: inside a window of half the image's sides, four
            times in 14 one of its quarters, else a random one (HSRNet, section 4.1).
        native: the probability of scale 1 exactly: the image's own pixels, none interpolated.
        kernels: the probability of another resizing kernel, see :class:`PhotometricAugmentation`.
        rng: source of everything random.
    """
    factor = float(np.exp(rng.uniform(*np.log(scale))))
    # Nothing is drawn for a probability of 0, so that crops of older configs stay the same.
    if native and rng.random() < native:
        factor = 1.0
    area = _quarter(width, height, rng) if window == "quarters" else (0, 0, width, height)
    left, top, right, bottom = _place(size, factor, area, rng)
    # Whole source pixels, so that the resize maps edges to edges and points stay exact.
    tall = min(max(round((bottom - top) * factor), 1), size[0])
    wide = min(max(round((right - left) * factor), 1), size[1])
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = (tall, wide) != (bottom - top, right - left)
    if resized and kernels and rng.random() < kernels:
        interpolation = KERNELS[rng.integers(len(KERNELS))]
    mirrored = rng.random() < 0.5
    return CropWindow(left, top, right, bottom, tall, wide, interpolation, mirrored)


def random_crop(
    image: Image,
    points: Array,
    sizes: Array,
    boxes: Array,
    *,
    size: tuple[int, int],
    scale: tuple[float, float],
    window: Literal["free", "quarters"] = "free",
    native: float = 0.0,
    kernels: float = 0.0,
    rng: np.random.Generator,
) -> Crop:
    """Cut a crop at a random scale; see :func:`draw_window` for how it is placed.

    Args:
        image: uint8 (H, W, 3).
        points: (N, 2) x, y in px.
        sizes: (N,) head diameters in px.
        boxes: (N, 4) left, top, right, bottom in px.
        size: height and width of the crop.
        scale: the least and the largest scale.
        window: region of the crop.
        native: the probability of scale 1 exactly.
        kernels: the probability of another resizing kernel.
        rng: source of everything random.
    """
    drawn = draw_window(
        *image.shape[:2],
        size=size,
        scale=scale,
        window=window,
        native=native,
        kernels=kernels,
        rng=rng,
    )
    patch = image[drawn.top : drawn.bottom, drawn.left : drawn.right]
    if not drawn.is_native:
        resized = cv2.resize(patch, (drawn.width, drawn.height), interpolation=drawn.interpolation)
        patch = resized.astype(np.uint8, copy=False)
    if drawn.mirrored:
        patch = patch[:, ::-1]
    cut = np.zeros((*size, 3), np.uint8)
    cut[: drawn.height, : drawn.width] = patch
    points = pull_inside(points, image.shape[1], image.shape[0])
    return Crop(cut, *move_annotations(drawn, points, sizes, boxes))


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


def _quarter(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw left, top, right, bottom of a window of half the sides."""
    half_width, half_height = max(width // 2, 1), max(height // 2, 1)
    if rng.random() < 4 / 14:
        column, row = rng.integers(2, size=2)
        left, top = int(column) * (width - half_width), int(row) * (height - half_height)
    else:
        left = int(rng.integers(width - half_width + 1))
        top = int(rng.integers(height - half_height + 1))
    return left, top, left + half_width, top + half_height


def _place(
    size: tuple[int, int],
    factor: float,
    area: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Draw left, top, right, bottom of the source pixels, inside ``area``."""
    first_x, first_y, last_x, last_y = area
    tall, wide = size[0] / factor, size[1] / factor
    left = _start(first_x, last_x, wide, rng)
    top = _start(first_y, last_y, tall, rng)
    right = min(left + max(round(wide), 1), last_x)
    return left, top, right, min(top + max(round(tall), 1), last_y)


def _start(first: int, last: int, extent: float, rng: np.random.Generator) -> int:
    """Draw the start of a crop of ``extent`` px, its middle from ``first`` to ``last``.

    Crops that would reach out are pushed back, so that the border itself is seen as often as what
    lies inside; offsets drawn evenly would hardly ever end there, and the network would guess.
    """
    start = rng.uniform(first, last) - extent / 2
    return round(max(min(start, last - extent), first))


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
