"""Pixels that are not square, as DV, DVDs, HDV and some recorders store them."""

from __future__ import annotations

import functools
from fractions import Fraction

__all__ = ["SQUARE", "pixel_ratio", "square_size"]

SQUARE = Fraction(1)
_TOLERATED = 0.02  # the ratio that an encoder sets for a side that it had to round
_MOST = 4  # 2CIF has 2.2; a tag beyond this is damaged


@functools.lru_cache(maxsize=64)  # asked for each frame
def pixel_ratio(numerator: float, denominator: float) -> Fraction:
    """Return the width of a pixel over its height by a video's tag.

    Args:
        numerator: of the tag.
        denominator: of the tag; either is 0 where nothing is known.

    Returns:
        1 for pixels that are square or nearly so, and for a tag that cannot be true.
    """
    if not (numerator > 0 and denominator > 0):
        return SQUARE
    ratio = Fraction(numerator) / Fraction(denominator)
    if not Fraction(1, _MOST) <= ratio <= _MOST or abs(ratio - 1) <= _TOLERATED:
        return SQUARE
    return ratio


def square_size(width: int, height: int, ratio: Fraction) -> tuple[int, int]:
    """Return the size at which a picture has square pixels; none of its own are lost.

    Args:
        width: of the stored picture.
        height: of the stored picture.
        ratio: see `pixel_ratio`.
    """
    if ratio >= 1:
        return round(width * ratio), height
    return width, round(height / ratio)
