"""Random crops and looks, exact on points: the count inside a crop is the count of its points."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.float32]


def random_crop(
    image: Image,
    points: Array,
    sizes: Array,
    crop: int,
    scale_range: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[Image, Array, Array]:
    """A ``crop`` x ``crop`` px cut of the image, at a random scale and mirrored half the time.

    The scale is log-uniform in ``scale_range``. Where the scaled image is smaller than the crop,
    the rest is black, as the runtime's padding is.

    Returns:
        The cut (crop, crop, 3), its points (n, 2) and their sizes (n,).
    """
    low, high = np.log(scale_range)
    scale = float(np.exp(rng.uniform(low, high)))
    side = crop / scale
    height, width = image.shape[:2]
    left = rng.uniform(0, max(width - side, 0))
    top = rng.uniform(0, max(height - side, 0))
    # Whole source pixels, so that the resize maps edges to edges and points stay exact.
    left, top = int(left), int(top)
    right, bottom = min(left + round(side), width), min(top + round(side), height)
    size = (round((right - left) * scale), round((bottom - top) * scale))
    size = (min(max(size[0], 1), crop), min(max(size[1], 1), crop))
    inside = (
        (points[:, 0] >= left)
        & (points[:, 0] < right)
        & (points[:, 1] >= top)
        & (points[:, 1] < bottom)
    )
    ratio = np.array([size[0] / (right - left), size[1] / (bottom - top)], np.float32)
    points = (points[inside] - np.array([left, top], np.float32)) * ratio
    sizes = sizes[inside] * ratio.mean()
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    patch = cv2.resize(image[top:bottom, left:right], size, interpolation=interpolation)
    if rng.random() < 0.5:
        patch = patch[:, ::-1]
        points[:, 0] = size[0] - points[:, 0]
    cut = np.zeros((crop, crop, 3), np.uint8)
    cut[: size[1], : size[0]] = patch
    # A mirrored point on the left edge lands on the right edge itself, one step outside.
    limit = np.nextafter(np.array(size, np.float32), np.float32(0.0))
    return cut, np.clip(points, 0, limit), sizes


def random_look(image: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast, gamma, saturation; sometimes grey, blur, noise, JPEG or night."""
    # One look-up table for all that acts on a value alone: a crop costs a millisecond.
    tone = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.3, 0.3))
    tone = (tone - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < 0.05:
        tone = tone * rng.uniform(0.25, 0.6)
    out = cv2.LUT(image, (np.clip(tone, 0, 1) * 255.0 + 0.5).astype(np.uint8))
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    saturation = 0.0 if rng.random() < 0.1 else rng.uniform(0.6, 1.4)
    out = cv2.addWeighted(out, saturation, grey, 1.0 - saturation, 0.0)
    if rng.random() < 0.1:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(2, 12), out.shape)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 80))])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        out = decoded
    return out.astype(np.uint8, copy=False)


def blank_crop(crop: int, rng: np.random.Generator) -> Image:
    """A picture of nothing: a flat colour, a ramp, or noise of some grain."""
    kind = rng.integers(4)
    colours = rng.uniform(0, 255, (2, 3)) * (1.0 if rng.random() < 0.5 else 0.0)
    colours = colours + rng.uniform(0, 255) * (colours.max() == 0)
    if kind == 0:
        x = np.broadcast_to(colours[0], (crop, crop, 3)).astype(np.float64)
    elif kind == 1:
        ramp = np.linspace(0, 1, crop)[:, None, None]
        x = np.broadcast_to(colours[0] * ramp + colours[1] * (1 - ramp), (crop, crop, 3))
    else:
        grain = int(rng.integers(1, 24))
        small = rng.normal(0, rng.uniform(3, 60), (crop // grain + 1, crop // grain + 1, 3))
        x = colours[0] + cv2.resize(small, (crop, crop), interpolation=cv2.INTER_CUBIC)
    return np.clip(x, 0, 255).astype(np.uint8)
