"""Photometric augmentation: light, blur, noise, and what cameras and encoders do to pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.train.config import PhotometricAugmentation

Image = NDArray[np.uint8]

SUBSAMPLINGS = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
)


@dataclass(frozen=True, eq=False)
class PhotometricChange:
    """Changes of one crop, made in this order; None leaves a step out.

    Attributes:
        tone: (256,) uint8, the new value of each value.
        saturation: factor of the colour, 0 for grey.
        blur: sigma of a Gaussian, px.
        low_resolution: factor, below 1, by which the crop is shrunk and enlarged again.
        noise: spread of Gaussian noise, levels.
        pattern: (H, W, 3) float32, the noise itself, if it was asked for.
        jpeg: JPEG quality, with 4:2:0 colour.
        sharpen: sigma and amount of an unsharp mask.
        halve_chroma: whether colour gets half the resolution.
        recompress: JPEG quality and index of :data:`SUBSAMPLINGS`.
    """

    tone: Image
    saturation: float
    blur: float | None = None
    low_resolution: float | None = None
    noise: float | None = None
    pattern: NDArray[np.float32] | None = None
    jpeg: int | None = None
    sharpen: tuple[float, float] | None = None
    halve_chroma: bool = False
    recompress: tuple[int, int] | None = None


def draw_photometric(
    rng: np.random.Generator,
    augmentation: PhotometricAugmentation,
    shape: tuple[int, ...] | None = None,
) -> PhotometricChange | None:
    """Draw a change; None where the crop stays as it is.

    Args:
        rng: source of everything random.
        augmentation: the probabilities.
        shape: shape of the crop, to draw the pattern of its noise too; without it noise has a
            spread alone, and its pattern is left to who applies it.
    """
    if rng.random() >= augmentation.probability:
        return None
    values: dict[str, object] = {"tone": _tone(rng, augmentation)}
    grey = rng.random() < augmentation.grey
    values["saturation"] = 0.0 if grey else rng.uniform(0.6, 1.4)
    if rng.random() < augmentation.blur:
        values["blur"] = rng.uniform(0.4, 1.3)
    if rng.random() < augmentation.low_resolution:
        values["low_resolution"] = rng.uniform(0.4, 0.8)
    if rng.random() < augmentation.noise:
        pattern = None if shape is None else rng.standard_normal(shape, np.float32)
        spread = rng.uniform(2, 12)
        values["noise"] = spread
        values["pattern"] = None if pattern is None else pattern * np.float32(spread)
    if rng.random() < augmentation.jpeg:
        values["jpeg"] = int(rng.uniform(25, 80))
    # Nothing is drawn for a probability of 0, so that crops of older configs stay the same.
    if augmentation.sharpen and rng.random() < augmentation.sharpen:
        values["sharpen"] = (rng.uniform(0.6, 1.8), rng.uniform(0.2, 1.0))
    if augmentation.chroma and rng.random() < augmentation.chroma:
        values["halve_chroma"] = True
    if augmentation.recompress and rng.random() < augmentation.recompress:
        sampling = int(rng.integers(len(SUBSAMPLINGS)))
        values["recompress"] = (int(rng.uniform(50, 98)), sampling)
    return PhotometricChange(**values)  # type: ignore[arg-type]


def _tone(rng: np.random.Generator, augmentation: PhotometricAugmentation) -> Image:
    """Return one look-up table for all that acts on a value alone: a crop costs a millisecond."""
    tone = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.3, 0.3))
    tone = (tone - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.12, 0.12)
    if rng.random() < augmentation.night:
        tone = tone * rng.uniform(0.25, 0.6)
    return np.asarray(np.clip(tone, 0, 1) * 255.0 + 0.5).astype(np.uint8)


def distort_photometric(
    image: Image, rng: np.random.Generator, augmentation: PhotometricAugmentation | None = None
) -> Image:
    """Change brightness, contrast, gamma and saturation, and the rest with its probability."""
    change = draw_photometric(rng, augmentation or PhotometricAugmentation(), image.shape)
    return image if change is None else apply_change(image, change)


def apply_change(image: Image, change: PhotometricChange) -> Image:
    """Return the changed image, uint8 (H, W, 3) BGR."""
    out = cv2.LUT(image, change.tone)
    grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    out = cv2.addWeighted(out, change.saturation, grey, 1.0 - change.saturation, 0.0)
    if change.blur is not None:
        out = cv2.GaussianBlur(out, (0, 0), change.blur)
    if change.low_resolution is not None:
        height, width = out.shape[:2]
        small = shrunk_size(width, height, change.low_resolution)
        out = cv2.resize(cv2.resize(out, small, interpolation=cv2.INTER_AREA), (width, height))
    if change.pattern is not None:
        out = np.clip(out + change.pattern, 0, 255).astype(np.uint8)
    if change.jpeg is not None:
        out = _compressed(out, [cv2.IMWRITE_JPEG_QUALITY, change.jpeg])
    # Sharpening, halved colour and compression in the order of a camera.
    if change.sharpen is not None:
        sigma, amount = change.sharpen
        soft = cv2.GaussianBlur(out, (0, 0), sigma)
        out = cv2.addWeighted(out, 1.0 + amount, soft, -amount, 0.0)
    if change.halve_chroma:
        out = _halve_chroma(out)
    if change.recompress is not None:
        quality, sampling = change.recompress
        factor = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLINGS[sampling]]
        out = _compressed(out, [cv2.IMWRITE_JPEG_QUALITY, quality, *factor])
    return out.astype(np.uint8, copy=False)


def shrunk_size(width: int, height: int, factor: float) -> tuple[int, int]:
    """Return width and height of an image shrunk by a factor, 1 px at least."""
    return max(round(width * factor), 1), max(round(height * factor), 1)


def _halve_chroma(image: cv2.typing.MatLike) -> Image:
    """Reduce the two colour channels to half the width and height, and back."""
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    height, width = image.shape[:2]
    half = (max(width // 2, 1), max(height // 2, 1))
    small = cv2.resize(planes[:, :, 1:], half, interpolation=cv2.INTER_AREA)
    planes[:, :, 1:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR).astype(np.uint8, copy=False)


def _compressed(image: cv2.typing.MatLike, options: list[int]) -> Image:
    _, data = cv2.imencode(".jpg", image, options)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)
