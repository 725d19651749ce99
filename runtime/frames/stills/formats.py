"""The file formats of images, told apart by content."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from edgecount.errors import EdgeCountError
from edgecount.runtime.frames.stills.chunks import PNG, WEBP_ANIMATION, read_png, read_webp
from edgecount.runtime.frames.stills.header import Header
from edgecount.runtime.frames.stills.jpeg import JPEG, read_jpeg
from edgecount.runtime.frames.stills.pam import PAM, read_pam
from edgecount.runtime.frames.stills.tags import exif_orientation
from edgecount.runtime.frames.stills.tiff import TIFF, read_tiff

HEAD = 64
"""Bytes at a file's start that tell its format."""

_JPEG_2000 = b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

_MASKS, _BGR = 3, (0xFF0000, 0xFF00, 0xFF)  # of a BMP: its compression, and the usual ones
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(
    rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})(?:" + _GAP + rb"(\d{1,5}))?"
)


def is_image(head: bytes) -> bool:
    """Return whether the first `HEAD` bytes of a file are those of an image, whole or damaged."""
    return _reader(head) is not None


def read_header(data: bytes) -> Header | None:
    """Read the header of an image file, and check its structure; None if it is no image.

    Nothing is decoded, and damage is no error: what cannot be read is 0.
    """
    reader = _reader(data[:HEAD])
    if reader is None:
        return None
    try:
        return reader(data)
    except (struct.error, IndexError):
        return Header(_name(reader), missing="its header is cut off")


PILLOW = ("AVIF", "GIF", WEBP_ANIMATION)
"""Formats that Pillow decodes.

Some releases of OpenCV cannot; none turns an AVIF by its own rotation, and all give the values of
10 bits as they are.
"""


def open_with_pillow(format: str, data: bytes | BinaryIO) -> Any:  # noqa: A002
    """Open a file of one of `PILLOW`, past Pillow's limit on pixels, which its users may set.

    The data are its content, or the open file.

    Raises:
        EdgeCountError: Pillow cannot be loaded, or is too old.
        Exception: whatever Pillow's parsers meet.
    """
    try:
        from PIL.AvifImagePlugin import AvifImageFile
        from PIL.GifImagePlugin import GifImageFile
        from PIL.WebPImagePlugin import WebPImageFile
    except ImportError as error:
        raise EdgeCountError(
            f"Pillow cannot be loaded ({error}), and {format} is decoded with it: run  "
            'pip install "pillow>=11.3"'
        ) from error
    readers: dict[str, Any] = {
        "AVIF": AvifImageFile,
        "GIF": GifImageFile,
        WEBP_ANIMATION: WebPImageFile,
    }
    return readers[format](io.BytesIO(data) if isinstance(data, bytes) else data)


def avif_tells_of_missing() -> bool:
    """Return whether Pillow decodes AVIF with dav1d, which refuses pictures without their end."""
    from PIL.AvifImagePlugin import DECODE_CODEC_CHOICE, get_codec_version

    return DECODE_CODEC_CHOICE in ("auto", "dav1d") and get_codec_version("dav1d") is not None


def one_line(error: Exception) -> str:
    """Return what an error of Pillow says, which may quote bytes of the file."""
    words = " ".join(str(error).split())
    return words if words.isprintable() and words else type(error).__name__


def _reader(head: bytes) -> Callable[[bytes], Header] | None:
    for magic, reader in _READERS:
        if head.startswith(magic):
            return reader
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return read_webp
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, len(head), 4)}
        if brands & {b"avif", b"avis"}:
            return _read_avif
        if head[8:12] in _HEIC:
            return _read_heic
    return None


def _name(reader: Callable[[bytes], Header]) -> str:
    return reader.__name__.rpartition("_")[2].upper()


def _read_jpeg(data: bytes) -> Header:
    return read_jpeg(data).header


def _read_bmp(data: bytes) -> Header:
    """Read a BMP's header; a negative height means rows from top to bottom."""
    old = struct.unpack_from("<I", data, 14)[0] == 12
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    unsupported = None
    if not old and struct.unpack_from("<HI", data, 28) == (32, _MASKS):
        # OpenCV looks at masks where they are part of a longer header.
        masks = struct.unpack_from("<3I", data, 54)
        if struct.unpack_from("<I", data, 14)[0] == 40 and masks != _BGR:
            unsupported = "its colours are not 8 bits each, in the order BGR; save it as PNG"
    return Header("BMP", abs(width), abs(height), unsupported=unsupported)


def _read_pnm(data: bytes) -> Header:
    found = _PNM.match(data)
    if found is None:
        return Header("PNM", missing="its header is cut off")
    kind, width, height, white = (int(number or 0) for number in found.groups())
    # OpenCV makes 255 of white in what is black and white, and in 8 bits that are written as text.
    is_done = kind in (1, 4) or (kind in (2, 3) and white < 256)
    return Header("PNM", width, height, white=None if is_done else white or None)


def _read_sun(data: bytes) -> Header:
    width, height = struct.unpack_from(">II", data, 4)
    return Header("SUN", width, height)


def _read_jp2(data: bytes) -> Header:
    """Read the SIZ segment. Source: ITU-T T.800, annex A.5.1."""
    found = []
    start = data.find(_JPEG_2000)
    while start >= 0:
        right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
        # OpenCV gives the values of 9 to 15 bits as they are.
        bits = (data[start + 42] & 0x7F) + 1
        white = (1 << bits) - 1 if bits < 16 else None
        found.append(Header("JPEG 2000", max(right - left, 0), max(bottom - top, 0), white=white))
        start = data.find(_JPEG_2000, start + 4)
    missing = Header("JPEG 2000", missing="its codestream is missing")
    return max(found, key=lambda header: header.pixels, default=missing)


def _read_avif(data: bytes) -> Header:
    return _read_by_pillow("AVIF", data)


def _read_gif(data: bytes) -> Header:
    return _read_by_pillow("GIF", data)


def _read_by_pillow(format: str, data: bytes) -> Header:  # noqa: A002
    try:
        with open_with_pillow(format, data) as image:
            # Pillow gives the rotation and the mirror of an AVIF as an EXIF orientation.
            orientation = exif_orientation(image.info.get("exif", b""))
            width, height = image.size
            return Header(format, width, height, orientation)
    except EdgeCountError:
        raise
    except Exception as error:  # noqa: BLE001  # Pillow raises whatever its parsers met
        return Header(format, damaged=one_line(error))


def _read_heic(data: bytes) -> Header:
    del data
    return Header("HEIC", unsupported="save it as JPEG or PNG")


_READERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Header]], ...] = (
    (JPEG, _read_jpeg),
    (PNG, read_png),
    (TIFF, read_tiff),
    (b"BM", _read_bmp),
    ((b"GIF87a", b"GIF89a"), _read_gif),
    (tuple(b"P%d" % number for number in range(1, 7)), _read_pnm),
    (PAM, read_pam),
    ((_JP2, _JPEG_2000), _read_jp2),
    (b"\x59\xa6\x6a\x95", _read_sun),
)
