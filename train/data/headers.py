"""Sizes of images without decoding them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import MissingExtraError
from edgecount.runtime.frames.images import read_image

_ORIENTATION = 0x0112
# Of these OpenCV turns JPEGs in every version; others, where they are not upright, are decoded.
_TURNED = ("JPEG", "MPO")
_FORMATS = (*_TURNED, "BMP", "PNG", "WEBP")


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image file.

    Attributes:
        width: width in px, with the EXIF orientation applied, as it is when it is read.
        height: height in px, likewise.
        orientation: the EXIF orientation, 1 (upright) to 8.
    """

    width: int
    height: int
    orientation: int = 1


def read_header(path: Path) -> Header:
    """Read size and orientation of an image, as ``read_image`` would give it.

    Raises:
        MissingExtraError: Pillow is not installed.
        SourceError: the file cannot be read, or is no image.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "train", "to read the sizes of images") from error
    orientation = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as that of damaged EXIF
            with Image.open(path) as image:
                # Not image.getexif(), which believes XMP too: OpenCV does not.
                exif = Image.Exif()
                exif.load(image.info.get("exif", b""))
        found = exif.get(_ORIENTATION, 1)
        orientation = found if found in range(1, 9) else 1
        if image.format in _TURNED or (image.format in _FORMATS and orientation == 1):
            # 5 to 8 are turned by a quarter.
            width, height = image.size if orientation < 5 else image.size[::-1]
            return Header(width, height, orientation)
    except Exception:  # noqa: BLE001  # Pillow raises whatever its parsers met; the decoder decides
        orientation = 1
    height, width = read_image(path).shape[:2]
    return Header(width, height, orientation)
