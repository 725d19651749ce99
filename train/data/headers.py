"""Sizes of images without decoding them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_image

_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
# Start of frame of all JPEG codings; C4, C8 and CC between them are something else.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True)
class Header:
    """What an image file says of itself.

    Attributes:
        width: in px, upright: after its EXIF orientation is applied, as it is when it is read.
        height: likewise.
        orientation: the EXIF orientation, 1 (upright) to 8.
    """

    width: int
    height: int
    orientation: int = 1


def read_header(path: Path) -> Header:
    """Size and orientation of an image; formats other than JPEG and PNG are decoded.

    Raises:
        SourceError: the file cannot be read, or is no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    try:
        header = _png(data) or _jpeg(data)
    except (struct.error, IndexError) as error:
        raise SourceError(f"{path} is truncated: its header ends early") from error
    if header is None:
        height, width = read_image(path).shape[:2]
        return Header(width, height)
    return header


def _png(data: bytes) -> Header | None:
    if not data.startswith(_PNG):
        return None
    return Header(*struct.unpack_from(">II", data, 16))


def _jpeg(data: bytes) -> Header | None:
    if not data.startswith(b"\xff\xd8"):
        return None
    position, orientation = 2, 1
    while data[position] == 0xFF:
        mark = data[position + 1]
        if mark == 0xFF or mark in _BARE:
            position += 1 if mark == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if mark == 0xE1 and data.startswith(_EXIF, position + 4):
            orientation = _orientation(data[position + 10 : position + 2 + length])
        if mark in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            # 5 to 8 are turned by a quarter.
            sides = (height, width) if orientation >= 5 else (width, height)
            return Header(*sides, orientation)
        position += 2 + length
    return None


def _orientation(tiff: bytes) -> int:
    """The orientation in the first directory of EXIF's TIFF, 1 if it has none or is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
