"""Pictures of one camera compared, small enough that people hardly show and the scene does."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.errors import InputError

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

SIDE = (160, 90)  # px


def check_image(image: Image) -> None:
    """Refuse what is no frame.

    Raises:
        InputError: the image is not uint8 (H, W, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image: expected uint8 (H, W, 3) BGR, got {image.dtype} {image.shape}")


def shrunk(image: Image) -> Image:
    """Return a frame at 160 x 90 pixels, uint8 (90, 160, 3).

    Large frames are thinned first: the mean of every fourth pixel or so is as good, and ten times
    as fast.
    """
    step = max(min(image.shape[0] // (4 * SIDE[1]), image.shape[1] // (4 * SIDE[0])), 1)
    thin = np.ascontiguousarray(image[::step, ::step]) if step > 1 else image
    small: Image = cv2.resize(thin, SIDE, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return small


def grey_of(small: Image) -> Map:
    """Return the levels of a picture, float32 (h, w)."""
    grey: Map = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return grey


def edges_of(grey: Map | Image) -> Map:
    """Return the strength of the edges, which light changes less than the levels."""
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    found: Map = cv2.magnitude(across, down).astype(np.float32)
    return found


def correlation(a: Map, b: Map) -> float:
    """Return the correlation of two maps, -1 to 1; 0 where one is flat."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / size if size else 0.0
