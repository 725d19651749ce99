"""Sizes of images without decoding them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgecount.runtime.frames.images import read_file, read_image
from edgecount.runtime.frames.stills.formats import read_header as read_still_header

_HEAD = 1 << 18  # bytes in which a JPEG's size stands, unless its thumbnails are large


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image file.

    Attributes:
        width: width in px, with the orientation applied, as it is when it is read.
        height: height in px, likewise.
        orientation: the orientation of the stored picture, 1 (upright) to 8.
    """

    width: int
    height: int
    orientation: int = 1


def read_header(path: Path) -> Header:
    """Read size and orientation of an image, as ``read_image`` would give it.

    Raises:
        SourceError: the file cannot be read, or is no image.
    """
    header = read_still_header(read_file(path, most=_HEAD))
    if header is None or header.format != "JPEG" or not header.width:
        # Other formats may say how they are turned at their very end.
        header = read_still_header(read_file(path))
    if header is None or not header.width:
        # The decoder decides, and says what is wrong.
        height, width = read_image(path).shape[:2]
        return Header(width, height)
    return Header(*header.upright_size, header.orientation)
