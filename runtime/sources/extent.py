"""How long a file ought to be by its own header, for formats whose reader does not miss an end."""

from __future__ import annotations

import os

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_HEAD = 4096


def cut_off(path: str) -> bool:
    """Return whether a Matroska, WebM or GIF file ends before its last byte.

    Matroska has the size of its one segment, unless it was written as a stream; a GIF ends with a
    semicolon, which some pad.
    """
    with open(path, "rb") as file:  # noqa: PTH123 (a name with a null character is no matter here)
        head = file.read(_HEAD)
        size = os.fstat(file.fileno()).st_size
        if head.startswith(_EBML):
            return size < (_matroska_size(head) or 0)
        if head.startswith((b"GIF87a", b"GIF89a")):
            file.seek(max(0, size - _HEAD))
            return not file.read().rstrip(b"\0\r\n").endswith(b";")
    return False


def _matroska_size(head: bytes) -> int | None:
    """Return the bytes up to the end of the segment; None if it does not say."""
    header, start = _number(head, len(_EBML))
    if header is None or head[start + header : start + header + 4] != _SEGMENT:
        return None
    segment, start = _number(head, start + header + len(_SEGMENT))
    return None if segment is None else start + segment


def _number(data: bytes, at: int) -> tuple[int | None, int]:
    """Return a number of variable size and where it ends; None stands for an unknown size.

    The zeros before the first one tell how many bytes follow. Source: RFC 8794, section 4.
    """
    length = 9 - data[at].bit_length() if at < len(data) and data[at] else 0
    if not length or at + length > len(data):
        return None, at
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), at + length
