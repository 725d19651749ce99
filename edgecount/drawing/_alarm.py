"""The banner and the frame of a picture whose alarm is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._labels import INK, WHITE, Box, Colour, Run, pad_of
from edgecount.drawing._marks import SHIFT, fixed

if TYPE_CHECKING:
    from edgecount.analytics import Alarm

# Vermilion and orange of Okabe and Ito, "Color Universal Design" (2008), the first darkened until
# white letters on it have a contrast of 4.5; words and a sign say the same without colours.
_RED: Colour = (0, 70, 196)
_ORANGE: Colour = (0, 159, 230)
_GREY: Colour = (200, 200, 200)


@dataclass(frozen=True)
class _Look:
    word: str
    paint: Colour
    ink: Colour


_LOOKS = {
    "raised": _Look("ALARM", _RED, WHITE),
    "acknowledged": _Look("ALARM, acknowledged", _ORANGE, INK),
    "no data": _Look("NO COUNTS", _GREY, INK),
}


def draw_alarm(
    canvas: NDArray[np.uint8], alarm: Alarm, capital: int, reason: str | None = None
) -> Box | None:
    """Draw a band along the top that says what is wrong, and a frame, in place.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        alarm: alarm; a quiet one draws nothing.
        capital: height of a capital letter in pixels.
        reason: what the band says besides; None: the number that the alarm's rule has.

    Returns:
        The band's box; None if nothing is drawn.
    """
    look = _LOOKS.get(alarm.state.value)
    if look is None:
        return None
    height, width = canvas.shape[:2]
    edge = max(3, capital // 2)
    big = round(1.4 * capital)
    band = Box(0, 0, width, min(height, big + 2 * pad_of(big)))
    cv2.rectangle(canvas, (0, 0), (width - 1, height - 1), look.paint, 2 * edge)
    canvas[band.top : band.bottom] = look.paint
    if look.paint != _GREY:
        _draw_sign(canvas, band, big, look)
    left = band.left + pad_of(big) + (0 if look.paint == _GREY else round(1.9 * big))
    baseline = band.bottom - pad_of(big)
    runs = (
        Run(look.word, big, look.ink, bold=True),
        Run(reason or _reason(alarm), capital, look.ink),
    )
    for run in runs:
        if left + run.width <= width - pad_of(big):
            run.draw(canvas, left, baseline)
        left += run.width + capital
    return band


def _reason(alarm: Alarm) -> str:
    if alarm.state.value == "no data":
        return f"for more than {alarm.rule.stale:g} s"
    return f"more than {alarm.rule.above:g} people"


def _draw_sign(canvas: NDArray[np.uint8], band: Box, big: int, look: _Look) -> None:
    """Draw a triangle with an exclamation mark at the left of the band."""
    left, base = band.left + pad_of(big), band.bottom - pad_of(big)
    top, middle = base - round(1.15 * big), left + 0.65 * big
    corners = np.array([(middle, top), (left + 1.3 * big, base), (left, base)], np.float64)
    cv2.fillPoly(canvas, [fixed(corners)], look.ink, cv2.LINE_AA, SHIFT)
    width = max(1, round(big / 7))
    foot = base - round(0.16 * big)
    stem = fixed(np.array([(middle, base - 0.75 * big), (middle, foot - 1.8 * width)]))
    cv2.polylines(canvas, [stem.reshape(-1, 1, 2)], False, look.paint, width, cv2.LINE_AA, SHIFT)
    dot = fixed(np.array([(middle, float(foot))]))[0].tolist()
    cv2.circle(canvas, dot, round(0.6 * width * 16), look.paint, cv2.FILLED, cv2.LINE_AA, SHIFT)
