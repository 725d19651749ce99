"""End marks of image files: decoders fill what is missing of a cut-off file with grey."""

from __future__ import annotations

import struct

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# Marks without a length: TEM, the restart marks and the start of the image.
_BARE_MARKS = (0x01, *range(0xD0, 0xD9))


def find_truncation(data: bytes) -> str | None:
    """Return what is missing at the end of an image file; None if nothing, or of other formats."""
    if data.startswith(_JPEG):
        return None if _jpeg_is_complete(data) else "the JPEG's end mark is missing"
    if data.startswith(_PNG):
        return None if _png_is_complete(data) else "the PNG's IEND chunk is missing"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        missing = 8 + struct.unpack_from("<I", data, 4)[0] - len(data)
        return f"{missing} of its bytes are missing" if missing > 0 else None
    return None


def _jpeg_is_complete(data: bytes) -> bool:
    """Return whether an end mark follows the image's scan, other than that of an EXIF thumbnail."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        mark = data[position + 1]
        if mark == _START_OF_SCAN:
            return data.find(_JPEG_END, position) >= 0
        if mark == 0xFF:  # fill byte
            position += 1
        elif mark in _BARE_MARKS:
            position += 2
        else:
            position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return False


def _png_is_complete(data: bytes) -> bool:
    """Return whether the chunks reach IEND; text after it is allowed."""
    position = len(_PNG)
    while position + 12 <= len(data):
        length = struct.unpack_from(">I", data, position)[0]
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + length
    return False
