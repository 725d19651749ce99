"""Pixels of other depths as 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Values that are converted at once: the intermediate ones take eight times the room.
_BAND = 1 << 20


def to_eight_bits(
    values: NDArray[Any], white: int | None = None, *, inverted: bool = False
) -> NDArray[np.uint8]:
    """Return uint8 or uint16 values, of either byte order, as 8 bits: round(value / white * 255).

    Args:
        values: of any shape with at least one axis; values above ``white`` become 255.
        white: value that becomes 255; None: the largest of the type.
        inverted: whether 0 becomes 255, and white 0.
    """
    white = white or int(np.iinfo(values.dtype).max)
    steps = np.arange(white + 1, dtype=np.uint32)
    table = ((steps * 255 + white // 2) // white).astype(np.uint8)
    table = table[::-1] if inverted else table
    out = np.empty(values.shape, np.uint8)
    rows = max(_BAND // max(values[:1].size, 1), 1)
    for top in range(0, len(values), rows):
        np.take(table, values[top : top + rows], mode="clip", out=out[top : top + rows])
    return out
