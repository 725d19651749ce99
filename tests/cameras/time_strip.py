"""Bits in pixels: the time and the number of a picture, in blocks that survive lossy codecs.

Two rows of 32 blocks at the top of the picture, each a 32nd of its width wide: in the first the
milliseconds of the machine's monotonic clock, which is one for all its processes, in the second the
number of the picture, 24 bits, and a checksum, 8 bits. Only the standard library is used, so that
the Python of the system, which has GStreamer and no NumPy, can import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

BITS = 32
ROWS = 2
HEIGHT = 16  # of a block, in pixels
_DARK, _BRIGHT = 40, 215
_MIDDLE = 128


def now_ms() -> int:
    """Return the milliseconds of the monotonic clock, 32 bits."""
    return time.monotonic_ns() // 1_000_000 & 0xFFFFFFFF


def luma_rows(number: int, width: int, milliseconds: int | None = None) -> bytes:
    """Return the luma of the strip, 32 lines of a picture; its time is now unless it is given."""
    stamp = now_ms() if milliseconds is None else milliseconds
    number &= 0xFFFFFF
    return b"".join(
        _line(value, width) * HEIGHT for value in (stamp, number << 8 | _checksum(stamp, number))
    )


def band_luma(number: int) -> int:
    """Return the luma of a band that tells a picture from those before and after it."""
    return 40 + 8 * (number % 16)


def read(luma: Callable[[int, int], float], width: int) -> tuple[int, int] | None:
    """Return the time in milliseconds and the number in a picture; None if they do not agree.

    Args:
        luma: gives the luma, 0 to 255, at x and y in pixels.
        width: of the picture in pixels.
    """
    block = width / BITS
    columns = [int((bit + 0.5) * block) for bit in range(BITS)]
    stamp, second = (
        _value([luma(x, HEIGHT * row + HEIGHT // 2) for x in columns]) for row in range(ROWS)
    )
    number, check = second >> 8, second & 0xFF
    return (stamp, number) if _checksum(stamp, number) == check else None


def age_of(stamp: int) -> float:
    """Return how many seconds ago a time was."""
    return ((now_ms() - stamp) & 0xFFFFFFFF) / 1000


def _line(value: int, width: int) -> bytes:
    edges = [bit * width // BITS for bit in range(BITS + 1)]
    return b"".join(
        bytes([_BRIGHT if value >> bit & 1 else _DARK]) * (edges[bit + 1] - edges[bit])
        for bit in range(BITS)
    )


def _value(lumas: Sequence[float]) -> int:
    return sum(1 << bit for bit, luma in enumerate(lumas) if luma > _MIDDLE)


def _checksum(stamp: int, number: int) -> int:
    return (0xA5 + sum(stamp.to_bytes(4, "big")) + 7 * sum(number.to_bytes(3, "big"))) & 0xFF
