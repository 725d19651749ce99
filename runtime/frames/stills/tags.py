"""Tags of TIFF files, and of EXIF data, which are built like them."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

ORIENTATION = 274

# Bytes and letter of struct of the types of whole numbers: BYTE, SHORT, LONG, UNDEFINED (bytes) and
# LONG8.
_WHOLE = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 7: (1, "B"), 16: (8, "Q")}


class Tag(NamedTuple):
    """A tag of whole numbers: its first value, and where and how its values stand in the data.

    Attributes:
        value: the first value.
        position: of the first value.
        size: bytes of a value.
        number: number of values.
        order: "<" or ">", as NumPy and struct write the order of bytes.
    """

    value: int
    position: int
    size: int
    number: int
    order: str

    def values(self, data: bytes) -> list[int]:
        """Return all values, as far as the data go."""
        count = min(self.number, (len(data) - self.position) // self.size)
        kind = f"{self.order}u{self.size}"
        values: list[int] = np.frombuffer(data, kind, count, self.position).tolist()
        return values


def read_tags(data: bytes) -> dict[int, Tag]:
    """Return the tags of whole numbers in the first directory of a TIFF file or of EXIF data.

    Damaged data gives the tags that can be read. Source: TIFF 6.0, section 2, and BigTIFF.
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        return {}
    tags: dict[int, Tag] = {}
    try:
        version = struct.unpack_from(f"{order}H", data, 2)[0]
        # Directory's position, number of entries, one entry up to its value, and bytes of a value.
        where, many, entry, room = {
            42: ("4xI", "H", "HHI", 4),
            43: ("8xQ", "Q", "HHQ", 8),
        }[version]
        start = struct.unpack_from(f"{order}{where}", data)[0]
        number = struct.unpack_from(f"{order}{many}", data, start)[0]
        first, step = start + struct.calcsize(f"={many}"), struct.calcsize(f"={entry}") + room
        for position in range(first, first + step * min(number, 65535), step):
            tag, kind, count = struct.unpack_from(f"{order}{entry}", data, position)
            if kind not in _WHOLE or not count:
                continue
            size, letter = _WHOLE[kind]
            at = position + step - room
            if size * count > room:
                at = struct.unpack_from(f"{order}{'I' if room == 4 else 'Q'}", data, at)[0]
            value = struct.unpack_from(order + letter, data, at)[0]
            tags.setdefault(tag, Tag(value, at, size, count, order))
    except (KeyError, struct.error, OverflowError):
        pass  # cut off or no TIFF: what was read so far counts
    return tags


def exif_orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, in EXIF data; 1 if it has none that makes sense."""
    tag = read_tags(exif.removeprefix(b"Exif\0\0")).get(ORIENTATION)
    return tag.value if tag and tag.value in range(1, 9) else 1
