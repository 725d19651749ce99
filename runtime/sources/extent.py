"""How long a file is by its own headers, where FFmpeg's reader misses an end, or what follows."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import BinaryIO

from edgecount.runtime.sources.once import warn_once

_log = logging.getLogger(__name__)

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_HEAD = 4096
_FLV = b"FLV\x01"
_NEAR = 1 << 16  # bytes after the last picture of an FLV, in which the next recording begins
_MOST_BOXES = 1_000_000


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


def warn_of_another_recording(path: str, name: str, kind: str, end: int) -> None:
    """Log, once, that an FLV or MP4 file goes on with a recording that FFmpeg does not reach.

    Of two such files that were joined byte by byte its readers give the first one.

    Args:
        path: the file.
        name: how it is called in messages.
        kind: name of its format, as FFmpeg has it.
        end: bytes up to the end of what was read.
    """
    if _goes_on(path, kind, end):
        warn_once(
            _log,
            f"{name} holds another recording after the one that was counted, which FFmpeg does not "
            "reach: files of this kind cannot be joined byte by byte; count them one by one, or "
            "join them by FFmpeg",
        )


def _goes_on(path: str, kind: str, end: int) -> bool:
    if kind != "flv" and "mp4" not in kind.split(","):
        return False
    with open(path, "rb") as file:  # noqa: PTH123 (see above)
        if kind == "flv":
            file.seek(end)
            return _FLV in file.read(_NEAR)
        # Fragments after a second header are read, with the first one.
        headers = [at for at, name in _boxes(file) if name == b"moov"]
        return len(headers) > 1 and headers[-1] >= end


def _boxes(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield where the boxes of an MP4 file begin, and their names.

    Source: ISO/IEC 14496-12, section 4.2.
    """
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        yield at, head[4:8]
        size = int.from_bytes(head[8:], "big") if size == 1 else size
        if len(head) < 8 or size < 8:  # the end, or a box up to the end
            return
        at += size


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
