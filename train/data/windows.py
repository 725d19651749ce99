"""Places of crops: a rectangle of the image, and the part of the crop that it fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

KERNELS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)


@dataclass(frozen=True)
class CropRule:
    """The rule by which the crops of a set are drawn.

    Attributes:
        size: height and width of the crops, px; or ``half``: half of each of the image's sides,
            times the scale, so that a crop shows a quarter of its image and has no padding.
        scale: the least and the largest scale, between which it is log-uniform.
        scales: the scales themselves, drawn evenly, in place of the range.
        window: ``free``: anywhere; ``quarters``: inside a window of half the image's sides, four
            times in 14 one of its quarters, else a random one (HSRNet, section 4.1).
        native: the probability of scale 1 exactly: the image's own pixels, none interpolated.
        mirror: whether half of the crops are mirrored.
        kernels: the probability of another resizing kernel, see
            :class:`edgecount.train.config.PhotometricAugmentation`.
    """

    size: tuple[int, int] | Literal["half"]
    scale: tuple[float, float] = (1.0, 1.0)
    scales: tuple[float, ...] = ()
    window: Literal["free", "quarters"] = "free"
    native: float = 0.0
    mirror: bool = True
    kernels: float = 0.0


@dataclass(frozen=True)
class CropWindow:
    """A rectangle of an image, and the part of a crop that it fills.

    Attributes:
        left: first column of the image, px.
        top: first row.
        right: column after the last.
        bottom: row after the last.
        height: height in the crop, px; what lies below is padding.
        width: width in the crop; what lies to the right is padding.
        size: height and width of the crop.
        interpolation: OpenCV's number of the resizing kernel.
        mirrored: whether left and right are exchanged.
    """

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int
    size: tuple[int, int]
    interpolation: int
    mirrored: bool

    @property
    def is_native(self) -> bool:
        """Return whether the image's own pixels are taken, none interpolated."""
        return (self.height, self.width) == (self.bottom - self.top, self.right - self.left)


def draw_window(height: int, width: int, rule: CropRule, rng: np.random.Generator) -> CropWindow:
    """Draw the place of a crop at a random scale.

    Where the scaled image is smaller than a crop of a given size, the rest is black until light
    and noise change the crop as a whole, after which it may be dark grey; the runtime's padding is
    black. The losses see it as part of the picture in which nobody is.

    Args:
        height: height of the image, px.
        width: width of the image.
        rule: size, scales and place of the crops.
        rng: source of everything random.
    """
    factor = _draw_scale(rule, rng)
    if rule.size == "half":
        left, top, right, bottom = _draw_half(width, height, rule.window, rng)
        limit = None
    else:
        quarters = rule.window == "quarters"
        area = _draw_quarter(width, height, rng) if quarters else (0, 0, width, height)
        left, top, right, bottom = _place(rule.size, factor, area, rng)
        limit = rule.size
    # Whole source pixels, so that the resize maps edges to edges and points stay exact.
    tall, wide = (max(round(side * factor), 1) for side in (bottom - top, right - left))
    if limit is not None:
        tall, wide = min(tall, limit[0]), min(wide, limit[1])
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    resized = (tall, wide) != (bottom - top, right - left)
    if resized and rule.kernels and rng.random() < rule.kernels:
        interpolation = KERNELS[rng.integers(len(KERNELS))]
    mirrored = rule.mirror and rng.random() < 0.5
    size = limit or (tall, wide)
    return CropWindow(left, top, right, bottom, tall, wide, size, interpolation, mirrored)


def _draw_scale(rule: CropRule, rng: np.random.Generator) -> float:
    if rule.scales:
        factor = rule.scales[int(rng.integers(len(rule.scales)))]
    else:
        factor = float(np.exp(rng.uniform(*np.log(rule.scale))))
    # Nothing is drawn for a probability of 0, so that crops of older configs stay the same.
    if rule.native and rng.random() < rule.native:
        return 1.0
    return factor


def _draw_half(
    width: int, height: int, window: Literal["free", "quarters"], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw left, top, right, bottom of a rectangle of half the image's sides.

    The four quarters are the whole image without overlap, so that those at the far side of an odd
    number of pixels are one larger.
    """
    middle_x, middle_y = max(width // 2, 1), max(height // 2, 1)
    if window == "free":
        left, top = _start(0, width, middle_x, rng), _start(0, height, middle_y, rng)
    elif rng.random() < 4 / 14:
        column, row = (int(number) for number in rng.integers(2, size=2))
        left, right = ((0, middle_x), (min(middle_x, width - 1), width))[column]
        top, bottom = ((0, middle_y), (min(middle_y, height - 1), height))[row]
        return left, top, right, bottom
    else:
        left = int(rng.integers(width - middle_x + 1))
        top = int(rng.integers(height - middle_y + 1))
    return left, top, left + middle_x, top + middle_y


def _draw_quarter(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
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
