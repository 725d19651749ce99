"""Counts of the same image distorted: at another scale, sharpness or noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.counting import count_sample

if TYPE_CHECKING:
    from edgecount import EdgeCounter

Image = NDArray[np.uint8]


def resampled(image: Image, factor: float) -> Image:
    """Resize an image: by area where it shrinks, linearly where it grows."""
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    kernel = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=kernel).astype(np.uint8, copy=False)


def noisy(image: Image) -> Image:
    """Add Gaussian noise of 8 grey levels, the same for every image of a size."""
    noise = np.random.default_rng(0).standard_normal(image.shape, np.float32) * np.float32(8)
    out: Image = np.clip(image + noise + 0.5, 0, 255).astype(np.uint8)
    return out


def blurred(image: Image) -> Image:
    """Blur by a Gaussian of 0.8 px, as a lens out of focus does."""
    return cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.uint8, copy=False)


def sharpened(image: Image) -> Image:
    """Sharpen by an unsharp mask of 1 px and half the difference."""
    soft = cv2.GaussianBlur(image, (0, 0), 1.0)
    return cv2.addWeighted(image, 1.5, soft, -0.5, 0.0).astype(np.uint8, copy=False)


def compressed(image: Image) -> Image:
    """Compress as a JPEG of quality 40, and decode."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)


DISTORTIONS: Mapping[str, Callable[[Image], Image]] = {
    "native": lambda image: image,
    "x0.7": lambda image: resampled(image, 0.7),
    "x1.03": lambda image: resampled(image, 1.03),
    "x1.4": lambda image: resampled(image, 1.4),
    "noise": noisy,
    "blur": blurred,
    "sharpened": sharpened,
    "JPEG": compressed,
}
"""Name to the function that distorts an image (H, W, 3); ``native`` is the image itself."""


def measure_distorted(
    counter: EdgeCounter, samples: Sequence[Sample], progress: Callable[[], None] | None = None
) -> dict[str, float]:
    """Return people counted over people annotated, by distortion; 1 is right.

    Args:
        counter: the model under test.
        samples: annotated images with people, as they lie on the disk.
        progress: called after each image.
    """
    totals = dict.fromkeys(DISTORTIONS, 0.0)
    for sample in samples:
        image = sample.image()
        for name, distort in DISTORTIONS.items():
            changed = distort(image)
            seen = sample.shrunk(changed.shape[0] / image.shape[0])
            totals[name] += float(count_sample(counter, seen, changed).count)
        if progress:
            progress()
    true = sum(len(sample.points) for sample in samples)
    return {name: total / true for name, total in totals.items()}
