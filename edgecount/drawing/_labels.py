"""Text in dark boxes, and the legend of the heat layer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._heat import HeatScale, colours

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
SOFT: Colour = (205, 205, 205)
INK: Colour = (24, 20, 18)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_CAPITAL_AT_SCALE_1 = 21.0  # px; true of OpenCV 4's strokes and of OpenCV 5's outline font
_BOX_OPACITY = 0.72
_TRUETYPE = int(cv2.__version__.split(".")[0]) >= 5


@dataclass(frozen=True)
class Run:
    """A piece of text in one size.

    Attributes:
        text: text to write.
        capital: height of a capital letter in pixels.
        colour: BGR, 0 to 255.
        bold: whether the strokes are heavier.
    """

    text: str
    capital: int
    colour: Colour = WHITE
    bold: bool = False

    @property
    def _scale(self) -> float:
        return self.capital / _CAPITAL_AT_SCALE_1

    @property
    def _thickness(self) -> int:
        if _TRUETYPE:  # there a thickness of 2 or more chooses the bold face
            return 2 if self.bold else 1
        return max(1, round(self._scale * (2.4 if self.bold else 1.3)))

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(cv2.getTextSize(self.text, _FONT, self._scale, self._thickness)[0][0])

    def draw(self, canvas: NDArray[np.uint8], left: int, baseline: int) -> None:
        """Write on a BGR canvas, in place."""
        origin, line = (left, baseline), cv2.LINE_AA
        cv2.putText(
            canvas, self.text, origin, _FONT, self._scale, self.colour, self._thickness, line
        )


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Box) -> bool:
        """Return whether the two share a pixel."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def inside(self, canvas: NDArray[np.uint8]) -> bool:
        """Return whether the whole box lies on the canvas."""
        height, width = canvas.shape[:2]
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


def shade(canvas: NDArray[np.uint8], box: Box) -> None:
    """Darken a rectangle, in place, so that white text reads on any picture."""
    part = canvas[box.top : box.bottom, box.left : box.right]
    ink = np.empty_like(part)
    ink[:] = INK
    part[:] = cv2.addWeighted(part, 1 - _BOX_OPACITY, ink, _BOX_OPACITY, 0)


def label_box(runs: list[Run], left: int, top: int) -> Box:
    """Return the box that one line of text needs."""
    tallest = max(run.capital for run in runs)
    pad = pad_of(tallest)
    gaps = _gap(tallest) * (len(runs) - 1)
    width = sum(run.width for run in runs) + gaps + 2 * pad
    return Box(left, top, left + width, top + tallest + 2 * pad)


def draw_label(
    canvas: NDArray[np.uint8], runs: list[Run], box: Box, edge: Colour | None = None
) -> None:
    """Write one line of text in its box, in place.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        runs: pieces of the line, left to right, on one baseline.
        box: box from `label_box`, which must lie on the canvas.
        edge: colour of a bar along the left side, which ties a label to its region.
    """
    tallest = max(run.capital for run in runs)
    shade(canvas, box)
    if edge is not None:
        canvas[box.top : box.bottom, box.left : box.left + max(2, tallest // 4)] = edge
    left = box.left + pad_of(tallest)
    for run in runs:
        run.draw(canvas, left, box.bottom - pad_of(tallest))
        left += run.width + _gap(tallest)


def pad_of(capital: int) -> int:
    """Return the room between text and the edge of its box, in pixels."""
    return max(3, round(0.65 * capital))


def _gap(capital: int) -> int:
    return max(3, round(0.4 * capital))


def draw_legend(
    canvas: NDArray[np.uint8], scale: HeatScale, capital: int, margin: int
) -> Box | None:
    """Draw the colour bar in the lower left corner, in place.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        scale: density at the upper end of the bar.
        capital: height of a capital letter in pixels.
        margin: distance from the border in pixels.

    Returns:
        The legend's box, or None when the canvas is too small for it.
    """
    title = Run("people per 100 x 100 px", capital, SOFT)
    pad, bar_height = pad_of(capital), max(4, round(0.8 * capital))
    width = max(title.width, 12 * capital)
    height = 2 * capital + bar_height + 4 * pad - pad // 2
    bottom = canvas.shape[0] - margin
    box = Box(margin, bottom - height, margin + width + 2 * pad, bottom)
    if not box.inside(canvas) or 3 * height > canvas.shape[0]:
        return None
    shade(canvas, box)
    left, top = box.left + pad, box.top + pad
    title.draw(canvas, left, top + capital)
    top += capital + pad
    steps = np.linspace(0, 255, width).round().astype(np.uint8)
    canvas[top : top + bar_height, left : left + width] = colours()[steps]
    top += bar_height + pad - pad // 2
    for share, more in ((0.0, ""), (0.5, ""), (1.0, "+")):  # denser crowds have that colour, too
        number = Run(f"{share * scale.top:.3g}{more}", capital)
        number.draw(canvas, left + round(share * (width - number.width)), top + capital)
    return box
