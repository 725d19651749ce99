"""The layers of an overlay, from the ground up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._heat import HeatScale, paint_heat
from edgecount.drawing._labels import (
    SOFT,
    WHITE,
    Box,
    Run,
    draw_label,
    draw_legend,
    label_box,
)
from edgecount.drawing._marks import REGION_COLOURS, draw_points, draw_region
from edgecount.regions import Region
from edgecount.result import CountResult


@dataclass(frozen=True)
class _Sizes:
    """Lengths in pixels that grow with the frame, so that 8K overlays read like small ones."""

    capital: int
    margin: int
    line: int

    @classmethod
    def of(cls, width: int, height: int) -> _Sizes:
        capital = max(8, round(min(height, 0.75 * width) / 64))
        return cls(capital, max(4, round(0.9 * capital)), max(2, round(capital / 5)))


def draw_overlay(
    frame: NDArray[np.uint8],
    result: CountResult,
    *,
    regions: Sequence[Region] = (),
    scale: HeatScale | None = None,
) -> NDArray[np.uint8]:
    """Draw a result over its frame: heat, legend, regions, head points and the count.

    Parts that do not fit on a small frame are left out; the heat and the points always show.

    Args:
        frame: uint8 (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA; 1 x 1 pixel or larger. The
            frame that was counted, as `result.size` says.
        result: result of `EdgeCounter.count` for the frame.
        regions: regions to outline, those that were counted; each is labelled with its
            count in `result`.
        scale: density of the hottest colour; fitted to this result if None. Pass one
            scale for all frames of a video to keep the colours comparable.

    Returns:
        A new uint8 (H, W, 3) BGR picture.

    Raises:
        InputError: the frame has no form that can be counted.
    """
    from edgecount.runtime.frames.images import as_bgr

    canvas: NDArray[np.uint8] = np.array(as_bgr(frame))
    height, width = canvas.shape[:2]
    sizes = _Sizes.of(width, height)
    taken: list[Box] = []
    if result.density.size:
        scale = scale or HeatScale.fit(result.density)
        canvas = paint_heat(canvas, result.density, result.density_stride_xy, scale)
    for region, colour in zip(regions, cycle(REGION_COLOURS), strict=False):
        draw_region(canvas, region.polygon, colour, sizes.line)
    draw_points(canvas, result.points)
    _place(canvas, _count_text(result, sizes), (sizes.margin, sizes.margin), taken)
    if result.density.size and scale is not None:
        legend = draw_legend(canvas, scale, result.density_stride_xy, sizes.capital, sizes.margin)
        taken += [legend] if legend else []
    _label_regions(canvas, result, regions, sizes, taken)
    return canvas


def _count_text(result: CountResult, sizes: _Sizes) -> list[Run]:
    runs = [
        Run(f"{result.count:.1f}", 2 * sizes.capital, bold=True),
        Run("people", sizes.capital, SOFT),
    ]
    if result.overflow:
        shown = f"(first {len(result.points)} points drawn)"
        runs.append(Run(shown, sizes.capital, SOFT))
    return runs


def _label_regions(
    canvas: NDArray[np.uint8],
    result: CountResult,
    regions: Sequence[Region],
    sizes: _Sizes,
    taken: list[Box],
) -> None:
    height, width = canvas.shape[:2]
    for region, colour in zip(regions, cycle(REGION_COLOURS), strict=False):
        counted = result.regions.get(region.name)
        runs = [Run(region.name, sizes.capital, SOFT)]
        if counted is not None:
            runs.append(Run(f"{counted.count:.1f}", round(1.3 * sizes.capital), WHITE, bold=True))
        corners = np.clip(region.polygon, 0, (width, height))
        x, y = min(corners.tolist(), key=lambda corner: corner[0] + 2 * corner[1])
        _place(canvas, runs, (round(x) + sizes.line, round(y) + sizes.line), taken, edge=colour)


def _place(
    canvas: NDArray[np.uint8],
    runs: list[Run],
    corner: tuple[int, int],
    taken: list[Box],
    edge: tuple[int, int, int] | None = None,
) -> None:
    """Write a label at a corner, or as near below it as other labels leave room."""
    height, width = canvas.shape[:2]
    box = label_box(runs, *corner)
    left = max(0, min(box.left, width - (box.right - box.left)))
    top = max(0, min(box.top, height - (box.bottom - box.top)))
    box = label_box(runs, left, top)
    while hit := next((other for other in taken if box.meets(other)), None):
        box = label_box(runs, left, hit.bottom + 2)
    if box.inside(canvas) and 4 * (box.bottom - box.top) <= height:
        draw_label(canvas, runs, box, edge)
        taken.append(box)
