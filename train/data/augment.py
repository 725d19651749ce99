"""Random crops and photometric augmentation; a crop's count is exactly that of its points."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.train.config import PhotometricAugmentation
from edgecount.train.data.sample import Crop

Image = NDArray[np.uint8]
Array = NDArray[np.float32]

_KERNELS = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_CUBIC,
    cv2.INTER_AREA,
    cv2.INTER_LANCZOS4,
)
_SUBSAMPLINGS = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
)


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
    """Cut a crop at a random scale, mirrored half the time.

    The scale is log-uniform in ``scale``. Where the scaled image is smaller than the crop, the
    rest is black, as the runtime's padding is. Points up to 1 px outside the image, where
    annotators' clicks and rounding put them, are moved to its edge; those further out are dropped.

    Args:
        image: uint8 (H, W, 3).
        points: (N, 2) x, y in px.
        sizes: (N,) head diameters in px.
        boxes: (N, 4) left, top, right, bottom in px.
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
    area = _quarter(image.shape[1], image.shape[0], rng) if window == "quarters" else None
    left, top, right, bottom = _place(image, size, factor, area, rng)
    # Whole source pixels, so that the resize maps edges to edges and points stay exact.
    height = min(max(round((bottom - top) * factor), 1), size[0])
    width = min(max(round((right - left) * factor), 1), size[1])
    points = _onto(points, image.shape[1], image.shape[0])
    inside = (
        (points[:, 0] >= left)
        & (points[:, 0] < right)
        & (points[:, 1] >= top)
        & (points[:, 1] < bottom)
    )
    ratio = np.array([width / (right - left), height / (bottom - top)], np.float32)
    origin = np.array([left, top], np.float32)
    points = (points[inside] - origin) * ratio
    boxes = (boxes[inside] - np.tile(origin, 2)) * np.tile(ratio, 2)
    patch = image[top:bottom, left:right]
    if (height, width) != patch.shape[:2]:
        interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        if kernels and rng.random() < kernels:
            interpolation = _KERNELS[rng.integers(len(_KERNELS))]
        resized = cv2.resize(patch, (width, height), interpolation=interpolation)
        patch = resized.astype(np.uint8, copy=False)
    if rng.random() < 0.5:
        patch = patch[:, ::-1]
        points[:, 0] = width - points[:, 0]
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    cut = np.zeros((*size, 3), np.uint8)
    cut[:height, :width] = patch
    # A mirrored point on the left edge lands on the right edge itself, one step outside.
    limit = np.nextafter(np.array([width, height], np.float32), np.float32(0.0))
    sizes = sizes[inside] * np.float32(np.sqrt(ratio.prod()))
    return Crop(cut, np.clip(points, 0, limit), sizes, boxes)


def _onto(points: Array, width: int, height: int) -> Array:
    """Move points up to 1 px outside the image onto its last pixels."""
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
    image: Image,
    size: tuple[int, int],
    factor: float,
    area: tuple[int, int, int, int] | None,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """Draw left, top, right, bottom of the source pixels, inside ``area`` or the image."""
    first_x, first_y, last_x, last_y = area or (0, 0, image.shape[1], image.shape[0])
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


def distort_photometric(
    image: Image, rng: np.random.Generator, augmentation: PhotometricAugmentation | None = None
) -> Image:
    """Change brightness, contrast, gamma and saturation, and the rest with its probability."""
    augmentation = augmentation or PhotometricAugmentation()
    if rng.random() >= augmentation.probability:
        return image
    out = cv2.LUT(image, _tone(rng, augmentation))
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    saturation = 0.0 if rng.random() < augmentation.grey else rng.uniform(0.6, 1.4)
    out = cv2.addWeighted(out, saturation, grey, 1.0 - saturation, 0.0)
    if rng.random() < augmentation.blur:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < augmentation.low_resolution:
        height, width = out.shape[:2]
        share = rng.uniform(0.4, 0.8)
        small = (max(round(width * share), 1), max(round(height * share), 1))
        out = cv2.resize(cv2.resize(out, small, interpolation=cv2.INTER_AREA), (width, height))
    if rng.random() < augmentation.noise:
        noise = rng.standard_normal(out.shape, np.float32) * np.float32(rng.uniform(2, 12))
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < augmentation.jpeg:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 80))])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        out = decoded
    return _process_as_camera(out.astype(np.uint8, copy=False), rng, augmentation)


def _process_as_camera(
    image: Image, rng: np.random.Generator, augmentation: PhotometricAugmentation
) -> Image:
    """Sharpen, halve the colour's resolution, compress: in this order, as in a camera."""
    out = image
    if augmentation.sharpen and rng.random() < augmentation.sharpen:
        soft = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.6, 1.8))
        amount = rng.uniform(0.2, 1.0)
        out = cv2.addWeighted(out, 1.0 + amount, soft, -amount, 0.0).astype(np.uint8, copy=False)
    if augmentation.chroma and rng.random() < augmentation.chroma:
        out = _halve_chroma(out)
    if augmentation.recompress and rng.random() < augmentation.recompress:
        sampling = _SUBSAMPLINGS[rng.integers(len(_SUBSAMPLINGS))]
        quality = int(rng.uniform(50, 98))
        out = _compressed(out, quality, sampling)
    return out


def _halve_chroma(image: Image) -> Image:
    """Reduce the two colour channels to half the width and height, and back."""
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    height, width = image.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    small = cv2.resize(planes[:, :, 1:], half, interpolation=cv2.INTER_AREA)
    planes[:, :, 1:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR).astype(np.uint8, copy=False)


def _compressed(image: Image, quality: int, sampling: int) -> Image:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", image, options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)


def _tone(rng: np.random.Generator, augmentation: PhotometricAugmentation) -> Image:
    """Return one look-up table for all that acts on a value alone: a crop costs a millisecond."""
    tone = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.3, 0.3))
    tone = (tone - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < augmentation.night:
        tone = tone * rng.uniform(0.25, 0.6)
    return np.asarray(np.clip(tone, 0, 1) * 255.0 + 0.5).astype(np.uint8)


def blurred_away(image: Image, rng: np.random.Generator) -> Image:
    """Blur a photo until hardly anything can be made out: sigma 24 to 64 px."""
    return cv2.GaussianBlur(image, (0, 0), rng.uniform(24, 64)).astype(np.uint8, copy=False)


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
