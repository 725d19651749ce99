"""PNG and WebP, the formats of chunks."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

from edgecount.runtime.frames.stills.header import Header
from edgecount.runtime.frames.stills.tags import exif_orientation

PNG = b"\x89PNG\r\n\x1a\n"

WEBP_ANIMATION = "WebP animation"

# Chunks that change what is seen. Damage of others, such as texts, leaves the picture whole.
_CHECKED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"eXIf")


def read_png(data: bytes) -> Header:
    """Read the header of a PNG, and check the sums that protect its picture.

    The orientation is that of the eXIf chunk. Data after IEND is allowed.
    """
    size = (0, 0)
    orientation, position, damaged = 1, len(PNG), None
    view = memoryview(data)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            break
        if kind in _CHECKED:
            found = zlib.crc32(view[position + 4 : end - 4])
            if found != struct.unpack_from(">I", data, end - 4)[0]:
                damaged = damaged or f"the checksum of its {kind.decode()} chunk is wrong"
                if kind == b"IHDR":
                    break  # a size that is not to be trusted
        if kind == b"IHDR" and length >= 8:
            size = max(size, struct.unpack_from(">II", data, position + 8), key=math.prod)
        elif kind == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        elif kind == b"IEND":
            return Header("PNG", *size, orientation, damaged=damaged)
        position = end
    missing = None if damaged else "the PNG's IEND chunk is missing"
    return Header("PNG", *size, orientation, missing=missing, damaged=damaged)


def read_webp(data: bytes) -> Header:
    """Read the header of a WebP, and check that its chunks are whole.

    The orientation is that of the EXIF chunk. Source: RFC 9649.
    """
    total = 8 + struct.unpack_from("<I", data, 4)[0]
    lost = total - len(data)
    sizes: list[tuple[int, int]] = []
    name, orientation, damaged = "WebP", 1, None
    for kind, start, end in _webp_chunks(data, min(total, len(data))):
        if end > total:
            damaged = damaged or "a chunk goes beyond its end"
        body = data[start : min(end, start + 10)]
        if kind == b"ANIM":
            name = WEBP_ANIMATION
        elif kind == b"EXIF":
            orientation = exif_orientation(data[start:end])
        elif (size := _webp_size(kind, body)) is not None:
            sizes.append(size)
    width, height = max(sizes, key=math.prod, default=(0, 0))
    missing = f"{lost} of its bytes are missing" if lost > 0 else None
    return Header(name, width, height, orientation, missing=missing, damaged=damaged)


def webp_without_end(data: bytes) -> bytes | None:
    """Return a WebP's picture without the last bytes of its data, which cannot be decoded.

    No decoder tells of data left over, which is the trace that damage most often leaves. A picture
    that can be decoded without its end did not need it. Whole ones need all but some 3 bytes.

    Returns:
        A WebP; None: the file is an animation, or too small.
    """
    for kind, start, end in _webp_chunks(data, len(data)):
        if kind not in (b"VP8 ", b"VP8L"):
            continue
        size = min(end, len(data)) - start
        # Room for encoders that pad.
        kept = size - (16 + size // 256 if kind == b"VP8 " else 8)
        if kept < size // 2:
            return None
        body = struct.pack("<4sI", kind, kept) + data[start : start + kept] + bytes(kept % 2)
        return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WEBP") + body
    return None


def _webp_chunks(data: bytes, limit: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the chunks."""
    position = 12
    while position + 8 <= limit:
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, position + 8 + length
        position += 8 + length + length % 2


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    """Return the width and height that a chunk of the picture or its canvas begins with."""
    if len(body) < 10 and not (kind == b"VP8L" and len(body) >= 5):
        return None
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    return None
