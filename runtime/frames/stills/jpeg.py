"""JPEG: its segments, and a decoder that tells of corrupt data."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import EdgeCountError
from edgecount.runtime.frames.stills.header import Header
from edgecount.runtime.frames.stills.tags import exif_orientation

JPEG = b"\xff\xd8\xff"
# Cameras and encoders make up to about 20 scans. Each goes over the whole picture, however few
# bytes it has, so that a small file could keep a decoder busy for minutes.
MOST_SCANS = 100

_EXIF, _JFIF = b"Exif\0\0", b"JFIF\0"
_APP0, _APP1, _SOS, _EOI = 0xE0, 0xE1, 0xDA, 0xD9
# Marks without a length: TEM, the restart marks and the start of the image.
_BARE = (0x01, *range(0xD0, 0xD9))
_SIZES = tuple(mark for mark in range(0xC0, 0xD0) if mark not in (0xC4, 0xC8, 0xCC))
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)

_MARK = re.compile(rb"\xff([^\x00\xff])")
# In a scan a zero follows each 255 that is data.
_AFTER_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")

# What libjpeg says of data that make no sense. Its other warnings are about harmless oddities of
# a header, or about what TurboJPEG does not support.
_CORRUPT = re.compile(r"Corrupt JPEG data|Premature end|Inconsistent progression")
_SURPLUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x([0-9a-f]+)")


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file taken apart.

    Attributes:
        header: its size, its orientation, and whether its end mark is there.
        scans: number of scans.
        data: the file without what libjpeg warns of though the picture is whole: stray bytes
            between segments, and numbers in headers that decoders ignore.
        end: where its picture's end mark stands in ``data``.
    """

    header: Header
    scans: int
    data: bytes
    end: int


def read_jpeg(data: bytes) -> Jpeg:
    """Take a JPEG apart; of several in a file, such as an MPO, the first.

    End marks of thumbnails lie inside segments and do not count. Source: ITU-T T.81, annex B.
    """
    walk = _Walk(data)
    complete = walk.run()
    missing = None if complete else "the JPEG's end mark is missing"
    header = Header("JPEG", walk.width, walk.height, walk.orientation, missing=missing)
    return Jpeg(header, walk.scans, *walk.cleaned())


class _Walk:
    """A walk over the segments of a JPEG."""

    def __init__(self, data: bytes) -> None:
        self.width = self.height = self.scans = 0
        self.orientation = 1
        self._data = data
        self._position = 2
        self._frame = 0  # the mark of the picture's kind
        self._has_exif = False
        self._stray: list[tuple[int, int]] = []
        self._patches: dict[int, bytes] = {}

    def run(self) -> bool:
        """Go on to the end mark; return whether it is there."""
        while (match := _MARK.search(self._data, self._position)) is not None:
            # Any number of 255s may stand before a mark.
            before = self._data[self._position : match.start()].rstrip(b"\xff")
            if before:
                self._stray.append((self._position, self._position + len(before)))
            mark, self._position = match[1][0], match.end()
            if mark == _EOI:
                return True
            if mark not in _BARE and not self._segment(mark):
                return False
        return False

    def cleaned(self) -> tuple[bytes, int]:
        """Return the data without stray bytes, and the position of the mark that was met last."""
        end = self._position - 2
        if not self._stray and not self._patches:
            return self._data, end
        data = bytearray(self._data)
        for position, patch in self._patches.items():
            data[position : position + len(patch)] = patch
        for start, stop in reversed(self._stray):
            del data[start:stop]
            end -= stop - start
        return bytes(data), end

    def _segment(self, mark: int) -> bool:
        """Read a segment that has a length, and the scan behind it; False: the data end in it."""
        start = self._position + 2
        if start > len(self._data):
            return False
        stop = self._position + struct.unpack_from(">H", self._data, self._position)[0]
        if not start <= stop <= len(self._data):
            return False
        self._read(mark, start, stop)
        self._position = stop
        if mark == _SOS:
            self.scans += 1
            after = _AFTER_SCAN.search(self._data, stop)
            if after is None:
                return False
            self._position = after.start()
        return True

    def _read(self, mark: int, start: int, stop: int) -> None:
        body = self._data[start:stop]
        if mark in _SIZES and not self._frame and len(body) >= 6:
            self._frame = mark
            self.height, self.width = struct.unpack_from(">HH", body, 1)
        elif mark == _APP1 and body.startswith(_EXIF) and not self._has_exif:
            self._has_exif = True
            self.orientation = exif_orientation(body)
        elif mark == _APP0 and body.startswith(_JFIF) and body[5:6] not in (b"\x01", b"\x02"):
            self._patches[start + 5] = b"\x01"  # the version
        elif mark == _SOS and self._frame in _SEQUENTIAL and len(body) >= 4:
            self._patches |= {stop - 3: b"\0\x3f\0"} if body[-3:] != b"\0\x3f\0" else {}


def decode_jpeg(jpeg: Jpeg) -> tuple[NDArray[np.uint8] | None, str | None]:
    """Decode a JPEG, with the pixels that OpenCV gives, and say what libjpeg says of its data.

    Returns:
        uint8 (H, W, 3), BGR, not turned, or None if TurboJPEG cannot decode it; and what is corrupt
        in the data, None if nothing is.

    Raises:
        EdgeCountError: simplejpeg cannot be loaded.
    """
    try:
        import simplejpeg
    except ImportError as error:
        raise EdgeCountError(
            f"simplejpeg cannot be loaded ({error}), and JPEGs are decoded with it: run  "
            "pip install simplejpeg"
        ) from error

    def attempt(*, strict: bool) -> Any:
        return simplejpeg.decode_jpeg(jpeg.data, "BGR", strict=strict)

    try:
        return attempt(strict=True), None
    except ValueError as error:
        said = str(error)
    damaged = said if _CORRUPT.match(said) and not _is_padding(jpeg, said) else None
    try:
        return attempt(strict=False), damaged
    except ValueError:
        return None, damaged


def _is_padding(jpeg: Jpeg, said: str) -> bool:
    """Return whether libjpeg complains of zeros between the picture and its end mark only."""
    surplus = _SURPLUS.match(said)
    if surplus is None or int(surplus[2], 16) != _EOI:
        return False
    return not any(jpeg.data[jpeg.end - int(surplus[1]) : jpeg.end])
