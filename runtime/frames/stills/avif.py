"""AVIF: its picture without its end, by which damage is told."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_FRAMES = (4, 6)  # OBU_TILE_GROUP and OBU_FRAME
_PADDING = b"\x7a"  # the header of an OBU_PADDING with a size


def avif_without_end(data: bytes) -> bytes | None:
    """Return an AVIF without the last bytes of its picture's data, which cannot be decoded.

    dav1d tells of missing data, but not of data left over, which is the trace that damage most
    often leaves. A picture that can be decoded without its end did not need it.

    Returns:
        An AVIF of the same length, padded; None: its picture is not in one piece. Source: ISO/IEC
        14496-12, section 8.11 (boxes), and AV1, section 5.3 (OBUs).
    """
    try:
        where = _primary_item(data)
        frames = [] if where is None else [o for o in _units(data, *where) if o.kind in _FRAMES]
    except (struct.error, IndexError):
        return None
    if not frames:
        return None
    unit = frames[-1]
    size = unit.end - unit.start
    # Room for encoders that pad, and of a size that two bytes hold.
    cut = min(16 + size // 256, 1 << 13)
    if cut > size // 2 or not unit.size_bytes:
        return None
    changed = bytearray(data)
    position = unit.start - unit.size_bytes
    changed[position : unit.start] = _leb128(size - cut, unit.size_bytes)
    padding = _PADDING + _leb128(cut - 3, 2) + bytes(cut - 4) + b"\x80"
    changed[unit.end - cut : unit.end] = padding
    return bytes(changed)


class _Unit(NamedTuple):
    """An open bitstream unit: its kind, its payload, and the bytes of its size before that."""

    kind: int
    start: int
    end: int
    size_bytes: int


def _units(data: bytes, start: int, end: int) -> Iterator[_Unit]:
    while start < end:
        header = data[start]
        start += 2 if header & 4 else 1
        size = length = 0
        if header & 2:
            while data[start + length] & 0x80:
                size |= (data[start + length] & 0x7F) << 7 * length
                length += 1
            size |= data[start + length] << 7 * length
            length += 1
        else:
            size = end - start
        payload = start + length
        yield _Unit(header >> 3 & 15, payload, min(payload + size, end), length)
        start = payload + size


def _leb128(value: int, length: int) -> bytes:
    """Return a number in so many bytes, seven bits in each, the lowest first."""
    more = [0x80] * (length - 1) + [0]
    return bytes((value >> 7 * index & 0x7F) | flag for index, flag in enumerate(more))


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type, and start and end of the content, of the boxes in a range."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        stop = end if size == 0 else start + size
        if stop < start + header:
            return
        yield kind, start + header, min(stop, end)
        start = stop


def _primary_item(data: bytes) -> tuple[int, int] | None:
    """Return where the data of the main picture start and end; None: not in one piece."""
    inside: dict[bytes, int] = {}
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            inside = {name: at for name, at, _ in _boxes(data, start + 4, end)}
            break
    if b"pitm" not in inside or b"iloc" not in inside:
        return None
    at = inside[b"pitm"]
    wanted = struct.unpack_from(">I" if data[at] else ">H", data, at + 4)[0]
    return _location(data, inside[b"iloc"], wanted)


def _location(data: bytes, at: int, wanted: int) -> tuple[int, int] | None:
    version = data[at]
    sizes = data[at + 4] >> 4, data[at + 4] & 15, data[at + 5] >> 4, data[at + 5] & 15
    offset_size, length_size, base_size, index_size = sizes
    position = at + 6

    def take(size: int) -> int:
        nonlocal position
        if position + size > len(data):
            raise IndexError
        position += size
        return int.from_bytes(data[position - size : position], "big")

    wide = 4 if version > 1 else 2
    for _ in range(take(wide)):
        item = take(wide)
        in_file = version == 0 or take(2) & 15 == 0
        take(2)
        base, extents = take(base_size), take(2)
        for _ in range(extents):
            take(index_size if version else 0)
            start = base + take(offset_size)
            length = take(length_size)
            if item == wanted:
                end = start + length if length else len(data)
                return (start, end) if in_file and extents == 1 and end <= len(data) else None
    return None
