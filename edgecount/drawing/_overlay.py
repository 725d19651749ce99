"""The layers of an overlay, from the ground up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecount.drawing._alarm import draw_alarm
from edgecount.drawing._ground import GroundView
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
from edgecount.drawing._lines import LINE_COLOUR, arrow, draw_line, line_runs
from edgecount.drawing._map import draw_ground_map
from edgecount.drawing._marks import REGION_COLOURS, draw_heads, draw_region
from edgecount.errors import ConfigError, InputError
from edgecount.regions import Region, RegionsLike, read_regions
from edgecount.result import CountResult

if TYPE_CHECKING:
    from edgecount.analytics import Alarm, Line, LineCount

LAYERS = ("heat", "points", "regions", "lines", "count", "legend", "map", "alarm")

_MAP_WIDTH = 0.26  # of the frame's


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
    regions: RegionsLike | None = (),
    lines: Sequence[Line] = (),
    crossed: Mapping[str, LineCount] | None = None,
    ground: GroundView | None = None,
    alarm: Alarm | None = None,
    reason: str | None = None,
    scale: HeatScale | None = None,
    time: float | None = None,
    layers: Iterable[str] = LAYERS,
) -> NDArray[np.uint8]:
    """Draw a result over its frame: heat, regions, lines, heads, the count and its interval.

    Heads are dots, or boxes if the model gives them.

    Parts that do not fit on a small frame are left out; the heat and the points always show.

    Args:
        frame: uint8 (H, W, 3) BGR, (H, W) grey or (H, W, 4) BGRA; 1 x 1 pixel or larger; or a
            `PixelFrame` or `NV12Frame`. The frame that was counted, as `result.size` says.
        result: result of `EdgeCounter.count` for the frame.
        regions: regions to outline, those that were counted, as `EdgeCounter` takes them; each is
            labelled with its count in `result`.
        lines: lines to draw, with an arrow to the side that is in.
        crossed: how many people crossed each line, by its name, as `LineCounter.update` says.
        ground: ground to show from above in a corner; see `draw_ground_map`.
        alarm: alarm whose state is shown, unless it is quiet.
        reason: what is written beside the alarm's state; None: the number that its rule has.
        scale: density of the hottest colour; fitted to this result if None. Pass one
            scale for all frames of a video to keep the colours comparable.
        time: seconds to write beside the count, such as `result.time`; None: no time.
        layers: what is drawn, of "heat", "points" (or boxes), "regions", "lines", "count",
            "legend" (of the heat), "map" (of the ground) and "alarm".

    Returns:
        A new uint8 (H, W, 3) BGR picture.

    Raises:
        InputError: the frame has no form that can be counted, or the result is not one of it.
        ConfigError: there is no such layer, a region makes no sense, or the time is not finite.
    """
    from edgecount.runtime.frames.pictures import bgr_picture

    drawn = check_layers(layers)
    _check_time(time)
    regions = read_regions(regions)
    canvas: NDArray[np.uint8] = np.array(bgr_picture(frame))
    height, width = canvas.shape[:2]
    _check_result(result, (width, height))
    sizes = _Sizes.of(width, height)
    if heat := "heat" in drawn and bool(result.density.size):
        scale = scale or HeatScale.fit(result)
        canvas = paint_heat(canvas, result, scale)
    shown = regions if "regions" in drawn else ()
    for region, colour in zip(shown, cycle(REGION_COLOURS), strict=False):
        for outline in (region.polygon_in((width, height)), *region.excluded_in((width, height))):
            draw_region(canvas, outline, colour, sizes.line)
    across = [line.in_size((width, height)) for line in lines] if "lines" in drawn else []
    for line in across:
        draw_line(canvas, line, sizes.capital, sizes.line)
    if "points" in drawn:
        draw_heads(canvas, result)
    taken = _draw_alarm(canvas, alarm if "alarm" in drawn else None, sizes, reason)
    if "count" in drawn:
        _draw_count(canvas, result, time, sizes, taken)
    if heat and scale is not None and "legend" in drawn:
        legend = draw_legend(canvas, scale, sizes.capital, sizes.margin)
        taken += [legend] if legend else []
    if "map" in drawn:
        _draw_map(canvas, result, ground, (regions, lines), sizes, taken)
    _label_regions(canvas, result, shown, sizes, taken)
    for line in across:
        _label_line(canvas, line, (crossed or {}).get(line.name), sizes, taken)
    return canvas


def check_layers(layers: Iterable[str]) -> frozenset[str]:
    """Return the layers as a set; ConfigError if there is no such layer."""
    known = ", ".join(LAYERS)
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise ConfigError(f"layers: expected several of {known}, got {layers!r}")
    chosen = list(layers)
    wrong = [layer for layer in chosen if layer not in LAYERS]
    if wrong:
        raise ConfigError(f"layers: expected names of {known}, got {wrong[0]!r}")
    return frozenset(chosen)


def _check_result(result: object, size: tuple[int, int]) -> None:
    if not isinstance(result, CountResult):
        got = "None" if result is None else f"a {type(result).__name__}"
        raise InputError(
            f"draw_overlay: expected the CountResult that count() gave for the frame, got {got}"
        )
    if tuple(result.size) != size:
        raise InputError(
            "draw_overlay: expected the frame that was counted, {} x {} pixels, got one of "
            "{} x {}".format(*result.size, *size)
        )


def _check_time(time: float | None) -> None:
    if time is not None and not math.isfinite(time):
        raise ConfigError(f"time: expected seconds, or None, got {time!r}")


def _draw_count(
    canvas: NDArray[np.uint8],
    result: CountResult,
    time: float | None,
    sizes: _Sizes,
    taken: list[Box],
) -> None:
    """Write the count, and as much beside it as the frame is wide enough for."""
    runs = [
        Run(f"{result.count:.1f}", 2 * sizes.capital, bold=True),
        Run("people", sizes.capital, SOFT),
    ]
    for text in _facts(result, time):
        more = [*runs, Run(text, sizes.capital, SOFT)]
        if label_box(more, sizes.margin, sizes.margin).inside(canvas):
            runs = more
    _place(canvas, runs, (sizes.margin, sizes.margin), taken)


def _facts(result: CountResult, time: float | None) -> Iterator[str]:
    if result.overflow:
        yield f"(first {len(result.points)} points drawn)"
    if result.interval:
        yield "likely {:.0f} to {:.0f}".format(*result.interval)
    if time is not None:
        minutes, seconds = divmod(round(max(time, 0.0), 1), 60)
        hours, minutes = divmod(int(minutes), 60)
        yield f"{hours}:{minutes:02}:{seconds:04.1f}" if hours else f"{minutes}:{seconds:04.1f}"


def _draw_alarm(
    canvas: NDArray[np.uint8], alarm: Alarm | None, sizes: _Sizes, reason: str | None
) -> list[Box]:
    band = None if alarm is None else draw_alarm(canvas, alarm, sizes.capital, reason)
    return [band] if band else []


def _draw_map(
    canvas: NDArray[np.uint8],
    result: CountResult,
    ground: GroundView | None,
    marks: tuple[Sequence[Region], Sequence[Line]],
    sizes: _Sizes,
    taken: list[Box],
) -> None:
    """Put the map into the lower right corner, if there is room."""
    height, width = canvas.shape[:2]
    wide = max(round(_MAP_WIDTH * width), 24 * sizes.capital)
    regions, lines = marks
    if ground is None or wide > 0.5 * width:
        return
    inset = draw_ground_map(
        result, ground, regions=regions, lines=lines, width=wide, capital=sizes.capital
    )
    right, bottom = width - sizes.margin, height - sizes.margin
    box = Box(right - inset.shape[1], bottom - inset.shape[0], right, bottom)
    if box.top < height // 5 or any(box.meets(other) for other in taken):
        return
    canvas[box.top : box.bottom, box.left : box.right] = inset
    taken.append(box)


def _label_line(
    canvas: NDArray[np.uint8],
    line: Line,
    crossed: LineCount | None,
    sizes: _Sizes,
    taken: list[Box],
) -> None:
    """Write a line's label on the side that is out, where the arrow is not."""
    runs = line_runs(line, crossed, sizes.capital)
    box = label_box(runs, 0, 0)
    middle, _ = arrow(canvas, line, sizes.capital)
    # Far enough that the label's nearest edge is a margin away, whatever the line's slant.
    half = np.array([box.right, box.bottom]) / 2
    away = float(np.abs(line.inwards) @ half) + sizes.margin + sizes.line
    left, top = middle - line.inwards * away - half
    _place(canvas, runs, (round(left), round(top)), taken, edge=LINE_COLOUR)


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
        corners = np.clip(region.polygon_in((width, height)), 0, (width, height))
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
