"""PAM, of which OpenCV exchanges the colours. Source: the format's page of Netpbm."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.runtime.frames.stills.header import Header

PAM = b"P7\n"

_FIELD = re.compile(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)[ \t]+(\d{1,9})", re.MULTILINE)
_END = re.compile(rb"^ENDHDR[ \t]*\r?\n", re.MULTILINE)
_COLOURS = {1: 1, 2: 1, 3: 3, 4: 3}  # by the number of channels, of which the last may be alpha


def read_pam(data: bytes) -> Header:
    """Read the header of a PAM's first picture."""
    end = _END.search(data)
    if end is None:
        return Header("PAM", missing="its header is cut off")
    width, height, depth, white = _fields(data, end.start())
    wrong = None
    if depth not in _COLOURS:
        wrong = f"it has {depth} channels, expected 1 to 4"
    elif not 0 < white < 1 << 16:
        wrong = f"its MAXVAL is {white}, expected 1 to 65535"
    needed = width * height * depth * (1 + (white > 255))
    missing = None
    if wrong is None and len(data) - end.end() < needed:
        missing = f"its pixels take {needed:,} bytes, and {len(data) - end.end():,} are there"
    return Header("PAM", width, height, white=white or None, unsupported=wrong, missing=missing)


def decode_pam(data: bytes) -> NDArray[Any]:
    """Return the picture (H, W, 3), BGR, uint8 or uint16 of which the header's white is white.

    Pixels that are missing are black.
    """
    end = _END.search(data)
    head, first = (end.start(), end.end()) if end else (len(data), len(data))
    width, height, depth, white = _fields(data, head)
    kind = np.dtype(">u2" if white > 255 else np.uint8)
    pixels = np.zeros(width * height * depth, kind)
    there = data[first : first + pixels.nbytes]
    there = there[: len(there) // kind.itemsize * kind.itemsize]
    pixels[: len(there) // kind.itemsize] = np.frombuffer(there, kind)
    values = pixels.astype(kind.newbyteorder("=")).reshape(height, width, depth)
    colours: NDArray[Any] = values[:, :, : _COLOURS[depth]][:, :, ::-1]
    return np.ascontiguousarray(np.broadcast_to(colours, (height, width, 3)))


def _fields(data: bytes, end: int) -> tuple[int, int, int, int]:
    found = {name: int(number) for name, number in _FIELD.findall(data[:end])}
    width, height, depth, white = (
        found.get(name, 0) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
    )
    return width, height, depth, white
