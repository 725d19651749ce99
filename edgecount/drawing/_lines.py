"""Lines across which people are counted: an arrow for the way in, and the numbers of both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._labels import INK, SOFT, WHITE, Run
from edgecount.drawing._marks import SHIFT, fixed

if TYPE_CHECKING:
    from edgecount.analytics import Line, LineCount

LINE_COLOUR = WHITE  # the heat, the dots and the regions have all other colours
_ARROW = 5.0  # length, in capitals
_HEAD = 0.42  # of the arrow's length


def draw_line(canvas: NDArray[np.uint8], line: Line, capital: int, width: int) -> None:
    """Draw a line with round ends and an arrow from its middle to the side that is in, in place.

    Args:
        canvas: uint8 (H, W, 3), BGR.
        line: line in canvas pixels; may reach past the canvas.
        capital: height of a capital letter in pixels, which the arrow grows with.
        width: width of the line in pixels.
    """
    casing = width + max(2, width // 2)
    middle, tip = arrow(canvas, line, capital)
    along = np.array([line.inwards[1], -line.inwards[0]])
    head = _HEAD * float(np.linalg.norm(tip - middle))
    neck = tip - line.inwards * head
    sides = np.array([tip, neck + along * 0.62 * head, neck - along * 0.62 * head])
    for colour, stroke in ((INK, casing), (LINE_COLOUR, width)):
        _stroke(canvas, line.start, line.end, colour, stroke)
        _stroke(canvas, middle, neck, colour, stroke)
        if colour == INK:
            cv2.polylines(canvas, [fixed(sides)], True, INK, casing, cv2.LINE_AA, SHIFT)
        cv2.fillPoly(canvas, [fixed(sides)], colour, cv2.LINE_AA, SHIFT)
    for end in (line.start, line.end):
        for colour, radius in ((INK, casing), (LINE_COLOUR, width)):
            centre = fixed(end[None])[0].tolist()
            cv2.circle(canvas, centre, radius << SHIFT, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def arrow(
    canvas: NDArray[np.uint8], line: Line, capital: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the arrow of a line starts and where its tip is, x and y in canvas pixels.

    It stands on the middle of the part that is on the canvas.
    """
    whole = np.array(canvas.shape[1::-1], np.float64)
    steps = line.start + np.linspace(0, 1, 101)[:, None] * (line.end - line.start)
    seen = steps[((steps >= 0) & (steps <= whole)).all(axis=1)]
    middle = np.asarray(seen.mean(axis=0) if len(seen) else steps.mean(axis=0), np.float64)
    return middle, middle + line.inwards * _ARROW * capital


def line_runs(line: Line, crossed: LineCount | None, capital: int) -> list[Run]:
    """Return the label of a line: its name, and how many people went in and out."""
    runs = [Run(line.name, capital, SOFT)]
    if crossed is not None:
        for word, people in (("in", crossed.into), ("out", crossed.out)):
            runs += [
                Run(word, capital, SOFT),
                Run(f"{people:.0f}", round(1.3 * capital), WHITE, bold=True),
            ]
    return runs


def _stroke(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    colour: tuple[int, int, int],
    width: int,
) -> None:
    corners = [fixed(np.array([start, end])).reshape(-1, 1, 2)]
    cv2.polylines(canvas, corners, False, colour, width, cv2.LINE_AA, SHIFT)
