"""Pictures as JPEG, as pages show them and services keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUALITY = 80


def encode_jpeg(
    image: NDArray[np.uint8], width: int | None = None, quality: int = _QUALITY
) -> bytes:
    """Return a picture, uint8 (H, W, 3) BGR, as JPEG; wider ones are shrunk to a width in px."""
    import numpy as np
    import simplejpeg

    if width is not None and image.shape[1] > width:
        import cv2

        height = max(round(image.shape[0] * width / image.shape[1]), 1)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image = small.astype(np.uint8, copy=False)
    pixels = np.ascontiguousarray(image)
    data: bytes = simplejpeg.encode_jpeg(
        pixels, quality=quality, colorspace="BGR", colorsubsampling="420"
    )
    return data
