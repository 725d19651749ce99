"""Pixels of other depths as 8 bits."""

from __future__ import annotations

import functools
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Values that are converted at once: the intermediate ones take eight times the room.
_BAND = 1 << 20

# A frame of 16 bits without a larger value is that of a camera of at most 12 bits, or nearly black.
_DARK = (1 << 12) - 1

_log = logging.getLogger(__name__)


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
    if white == 65535 and not inverted and _is_dark(values):
        _warn_of_dark()
    steps = np.arange(white + 1, dtype=np.uint32)
    table = ((steps * 255 + white // 2) // white).astype(np.uint8)
    table = table[::-1] if inverted else table
    out = np.empty(values.shape, np.uint8)
    rows = max(_BAND // max(values[:1].size, 1), 1)
    for top in range(0, len(values), rows):
        np.take(table, values[top : top + rows], mode="clip", out=out[top : top + rows])
    return out


def _is_dark(values: NDArray[Any]) -> bool:
    """Return whether 16 bits hold a picture that will be nearly black."""
    return bool(values.size and 0 < values.max() <= _DARK and values.min() != values.max())


@functools.cache  # so that a process is warned once
def _warn_of_dark() -> None:
    _log.warning(
        "expected 16-bit values of which 65535 is white, got a frame without one above %d, which "
        "is nearly black: if the camera gives fewer bits, scale its values by "
        "65535 / (2**bits - 1), such as 65535 / 4095 for 12",
        _DARK,
    )
