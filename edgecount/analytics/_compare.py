"""Pictures of one camera compared, small enough that people hardly show and the scene does."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.errors import InputError
from edgecount.runtime.frames.pictures import bgr_picture
from edgecount.runtime.frames.pixel_formats import NV12Frame, PixelFrame

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

SIDE = (160, 90)  # px


def take_image(image: Any) -> Image:
    """Return a frame as uint8 (H, W, 3) BGR: an array as it is, a wrapper of another format as one.

    Raises:
        InputError: it is another array, or none.
    """
    if isinstance(image, (NV12Frame, PixelFrame)):
        return bgr_picture(image)
    if not isinstance(image, np.ndarray):
        raise InputError(f"image: expected uint8 (H, W, 3) BGR, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"image: expected uint8 (H, W, 3) BGR, got {image.dtype} {image.shape}")
    return image


def shrunk(image: Image, side: tuple[int, int] = SIDE) -> Image:
    """Return a frame at 160 x 90 pixels, or as many as are asked for, uint8 (h, w, 3).

    It is halved as often as that goes: a mean over 2 x 2 pixels takes a tenth of the time of one
    over any others.
    """
    while image.shape[0] >= 2 * side[1] and image.shape[1] >= 2 * side[0]:
        half = image.shape[1] // 2, image.shape[0] // 2
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    small: Image = cv2.resize(image, side, interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )
    return small


def grey_of(small: Image) -> Map:
    """Return the levels of a picture, float32 (h, w)."""
    grey: Map = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return grey


def colour_of(small: Image) -> float:
    """Return the mean distance of a picture's channels from each other, in levels; 0: grey."""
    blue, green, red = cv2.split(small)
    most, least = cv2.max(cv2.max(blue, green), red), cv2.min(cv2.min(blue, green), red)
    return float(cv2.mean(cv2.subtract(most, least))[0])


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
