"""TIFF: its header, and the damage that OpenCV's reading of it passes over."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from edgecount.runtime.frames.stills.header import Header
from edgecount.runtime.frames.stills.jpeg import MOST_SCANS, decode_jpeg, read_jpeg
from edgecount.runtime.frames.stills.tags import ORIENTATION, Tag, read_tags

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Tags, and some of their values.
_KIND, _REDUCED = 254, 1
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _PLANES, _TILE_WIDTH, _TILE_HEIGHT, _JPEG_TABLES = 277, 284, 322, 323, 347
_PARTS = ((273, 279), (324, 325))  # offsets and sizes of strips, and of tiles
_JPEG, _DEFLATE = 7, (8, 32946)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_LAB = (8, 9, 10)  # CIE L*a*b* of Adobe's TIFF, of ICC and of ITU-T
_APART = 2
_EXTRA, _ALPHA_IN_COLOURS, _ALPHA = 338, 1, 2  # what a fourth channel is

_CHUNK = 1 << 20


def read_tiff(data: bytes) -> Header:
    """Read the header of a TIFF's first page."""
    tags = read_tags(data)

    def value(tag: int, default: int) -> int:
        return tags[tag].value if tag in tags else default

    bits, photometric = value(_BITS, 1), value(_PHOTOMETRIC, _BLACK_IS_ZERO)
    turned = value(ORIENTATION, 1)
    unsupported = None
    # OpenCV takes the first picture, which is a preview in the raw files of cameras; values of more
    # than 8 bits as they lie; and inverts no more than 8. Its tones of L*a*b* are wrong.
    if value(_KIND, 0) & _REDUCED:
        unsupported = "its first picture is a preview of another one; save that one by itself"
    elif photometric in _LAB:
        unsupported = "its colours are CIE L*a*b*; save it as RGB"
    elif bits > 8 and photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        unsupported = f"of {bits} bits only grey and RGB are read; save it with 8 bits"
    elif bits > 8 and value(_PLANES, 1) == _APART and value(_SAMPLES, 1) > 1:
        unsupported = f"its colours of {bits} bits lie in planes; save it with 8 bits"
    return Header(
        "TIFF",
        value(_WIDTH, 0),
        value(_HEIGHT, 0),
        turned if turned in range(1, 9) else 1,
        tile=value(_TILE_WIDTH, 0) * value(_TILE_HEIGHT, 0),
        inverted=bits > 8 and photometric == _WHITE_IS_ZERO,
        unsupported=unsupported,
    )


def as_it_lies(data: bytes) -> bytes:
    """Return a TIFF of which OpenCV gives the pixels as they lie, whatever its flags say.

    It claims to be upright, or it would be turned, and its alpha to be in the colours already, or
    they would be multiplied by it.
    """
    tags = read_tags(data)
    for name, found, claimed in ((ORIENTATION, None, 1), (_EXTRA, _ALPHA, _ALPHA_IN_COLOURS)):
        tag = tags.get(name)
        if tag is not None and tag.value != claimed and found in (None, tag.value):
            kind = f"{tag.order}u{tag.size}"
            patched = np.array(claimed, kind).tobytes()
            data = data[: tag.position] + patched + data[tag.position + tag.size :]
    return data


def find_corrupt_tiff(data: bytes, pixels: int) -> str | None:
    """Return what is corrupt in a TIFF that is compressed by Deflate or JPEG; None if nothing is.

    The checksums of Deflate and libjpeg's warnings are there, but OpenCV decodes on.

    Args:
        data: the file.
        pixels: of the picture; no more than these are unpacked to check them.
    """
    tags = read_tags(data)
    method = tags[_COMPRESSION].value if _COMPRESSION in tags else 1
    if method in _DEFLATE:
        samples = tags[_SAMPLES].value if _SAMPLES in tags else 1
        budget = _CHUNK + 2 * pixels * max(samples, 1) * 8
        for part in _parts(data, tags):
            corrupt, budget = _check_deflated(part, budget)
            if corrupt or budget < 0:
                return corrupt
    elif method == _JPEG:
        tables = tags.get(_JPEG_TABLES)
        shared = bytes(tables.values(data))[:-2] if tables else b""  # without its end mark
        budget = _CHUNK + 4 * pixels  # tiles reach over the edges
        for part in _parts(data, tags):
            jpeg = read_jpeg(shared + part[2:] if shared else part)
            budget -= jpeg.header.pixels
            if budget < 0 or jpeg.scans > MOST_SCANS:
                return "its parts are larger than the picture"
            corrupt = decode_jpeg(jpeg)[1]
            if corrupt:
                return corrupt
    return None


def _parts(data: bytes, tags: dict[int, Tag]) -> Iterator[bytes]:
    for offsets, sizes in _PARTS:
        if offsets in tags and sizes in tags:
            for offset, size in zip(
                tags[offsets].values(data), tags[sizes].values(data), strict=False
            ):
                yield data[offset : offset + size]


def _check_deflated(part: bytes, budget: int) -> tuple[str | None, int]:
    """Unpack up to ``budget`` bytes of a part; return what is corrupt, and the rest of it."""
    unpacker = zlib.decompressobj()
    try:
        while not unpacker.eof and budget >= 0:
            unpacked = unpacker.decompress(part, _CHUNK)
            part = unpacker.unconsumed_tail
            budget -= len(unpacked)
            if not unpacked and not part and not unpacker.eof:
                return "its Deflate data are cut off", budget
    except zlib.error as error:
        return str(error), budget
    return None, budget
