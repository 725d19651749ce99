"""The crowd on a map from above: people per square metre, in the colours of levels of service."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from numbers import Integral
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecount._numbers import is_number
from edgecount.drawing._ground import Array, Extent, GroundView
from edgecount.drawing._heat import colours
from edgecount.drawing._labels import INK, SOFT, WHITE, Box, Colour, Run, pad_of, shade
from edgecount.drawing._marks import DOT, REGION_COLOURS, SHIFT, fixed
from edgecount.errors import ConfigError
from edgecount.regions import Region
from edgecount.result import CountResult

if TYPE_CHECKING:
    from edgecount.analytics import Line

# A level of service is one of an area, not of a person's own spot: people are spread by so much.
_SPREAD = 1.0  # m
_CELLS = 96  # of the map, along its longer side
_LEVELS = "ABCDEF"
_GROUND: Colour = (66, 62, 60)
_GRID: Colour = (92, 88, 85)
_UNSEEN: Colour = (36, 33, 31)
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # m, of the grid
_OPACITY = 0.85
_NARROWEST, _WIDEST = 96, 16384  # px
_LONGEST = 1.25  # height of a map against its width: a narrow strip is shown with its surroundings


@dataclass(frozen=True)
class _Sheet:
    """The place of the ground on a picture: metres to pixels."""

    left: float
    far: float
    scale: float  # px per metre
    width: int
    height: int

    def at(self, places: Array) -> Array:
        """Return (N, 2) pixels of (N, 2) metres."""
        return (places - (self.left, self.far)) * (self.scale, -self.scale)


def draw_ground_map(
    result: CountResult,
    view: GroundView,
    *,
    regions: Sequence[Region] = (),
    lines: Sequence[Line] = (),
    width: int = 480,
    capital: int | None = None,
) -> NDArray[np.uint8]:
    """Draw where people are on the ground, from above: the camera looks up from the lower edge.

    Colours are Fruin's levels of service of people per square metre, spread over about a metre;
    dots are the head points. What the camera does not see is darker. The scale is in metres.

    Args:
        result: result of a frame of the plane's size.
        view: the ground to show.
        regions: regions to outline.
        lines: lines to draw.
        width: width of the picture in pixels, 96 to 16384.
        capital: height of a capital letter in pixels; None: by the width.

    Returns:
        A uint8 (H, width, 3) BGR picture.

    Raises:
        ConfigError: the result is of another frame size, or the width is none.
    """
    given: object = width  # which may be anything
    if not (is_number(given, Integral) and _NARROWEST <= width <= _WIDEST):
        raise ConfigError(f"width: expected whole pixels, {_NARROWEST} to {_WIDEST}, got {width!r}")
    capital = capital or max(8, round(width / 40))
    view, pad = view.upright, pad_of(capital)
    sheet = _sheet(view, max(width - 2 * pad, 32))
    ground = _paint(result, view, sheet)
    _outline(ground, view, sheet, regions, lines, capital)
    _draw_heads(ground, result, view, sheet)
    _draw_scale(ground, sheet, capital)
    legend = _legend(view.kind, sheet.width, capital)
    picture = np.empty((ground.shape[0] + legend.shape[0] + 3 * pad, width, 3), np.uint8)
    picture[:] = INK
    picture[pad : pad + sheet.height, pad : pad + sheet.width] = ground
    top = 2 * pad + sheet.height
    picture[top : top + legend.shape[0], pad : pad + sheet.width] = legend
    return picture


def _sheet(view: GroundView, width: int) -> _Sheet:
    left, near, right, far = _trim(view)
    across = max(right - left, (far - near) / _LONGEST)
    left -= (across - (right - left)) / 2
    scale = width / across
    return _Sheet(left, far, scale, width, max(1, round((far - near) * scale)))


def _trim(view: GroundView) -> Extent:
    """Return the ends of the view without the margins in which the camera sees nothing."""
    left, near, right, far = view.ends
    cell = max(right - left, far - near) / _CELLS
    shape = math.ceil((far - near) / cell), math.ceil((right - left) / cell)
    rows, columns = np.nonzero(_in_view(view, left, far, cell, shape))
    if not len(rows):
        return view.ends
    margin = 3  # cells
    return (
        max(left, left + (columns.min() - margin) * cell),
        max(near, far - (rows.max() + 1 + margin) * cell),
        min(right, left + (columns.max() + 1 + margin) * cell),
        min(far, far - (rows.min() - margin) * cell),
    )


def _paint(result: CountResult, view: GroundView, sheet: _Sheet) -> NDArray[np.uint8]:
    """Return the ground with its grid and its densities."""
    canvas: NDArray[np.uint8] = np.empty((sheet.height, sheet.width, 3), np.uint8)
    canvas[:] = _GROUND
    step = _step(sheet, 8)
    reach = sheet.left + sheet.width / sheet.scale, sheet.far - sheet.height / sheet.scale
    for x in np.arange(math.ceil(sheet.left / step) * step, reach[0], step):
        column = round((x - sheet.left) * sheet.scale)
        cv2.line(canvas, (column, 0), (column, sheet.height), _GRID, 1)
    for y in np.arange(math.ceil(reach[1] / step) * step, sheet.far, step):
        row = round((sheet.far - y) * sheet.scale)
        cv2.line(canvas, (0, row), (sheet.width, row), _GRID, 1)
    levels = _levels(result, view, sheet)
    paint = _level_colours()[levels]
    painted = cv2.addWeighted(canvas, 1 - _OPACITY, paint, _OPACITY, 0)
    canvas = np.where((levels > 0)[..., None], painted, canvas).astype(np.uint8)
    seen = _in_view(view, sheet.left, sheet.far, 1 / sheet.scale, canvas.shape)
    canvas[~seen] = _UNSEEN
    return canvas


def _levels(result: CountResult, view: GroundView, sheet: _Sheet) -> NDArray[np.int64]:
    """Return the level of service of each pixel, 0 for A to 5 for F."""
    from edgecount.analytics.ground import level_limits

    wide, tall = sheet.width / sheet.scale, sheet.height / sheet.scale
    cell = max(wide, tall) / _CELLS
    # Around the map people stand, too, whose share of its edge must not be missing.
    margin = math.ceil(3 * _SPREAD / cell) * cell
    left, top = sheet.left - margin, sheet.far + margin
    extent = (left, sheet.far - tall - margin, sheet.left + wide + margin, top)
    people = _people(result, view, extent, cell)
    seen = _in_view(view, left, top, cell, people.shape).astype(np.float32)
    spread, around = (cv2.GaussianBlur(one, (0, 0), _SPREAD / cell) for one in (people, seen))
    # Beyond what is seen nobody is counted: the mean is one over the ground in view.
    people = np.asarray(spread / np.maximum(around, 0.2), np.float32)
    y, x = np.mgrid[0 : sheet.height, 0 : sheet.width].astype(np.float32)
    to_cell, offset = 1 / (sheet.scale * cell), margin / cell - 0.5
    columns, rows = (((at + 0.5) * to_cell + offset).astype(np.float32) for at in (x, y))
    found = cv2.remap(people, columns, rows, cv2.INTER_LINEAR)
    return np.searchsorted(level_limits(view.kind), found, side="right")


def _people(result: CountResult, view: GroundView, extent: Extent, cell: float) -> Array:
    """Return people per square metre of the cells of a map; see `GroundPlane.map_density`."""
    if result.density.size:
        return view.plane.map_density(result, extent, cell).astype(np.float64)
    # A model that gives head points alone.
    left, near, right, far = extent
    places = view.plane.to_metres(result.points[:, :2]) if len(result.points) else np.zeros((0, 2))
    places = places[np.isfinite(places).all(axis=1)]
    rows, columns = math.ceil((far - near) / cell), math.ceil((right - left) / cell)
    bounds = [(far - rows * cell, far), (left, left + columns * cell)]
    heads, _, _ = np.histogram2d(places[:, 1], places[:, 0], (rows, columns), bounds)
    return np.asarray(heads[::-1] / cell**2, np.float64)


def _in_view(
    view: GroundView, left: float, far: float, cell: float, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return which cells of a map, (rows, columns) from its far left corner, the camera sees."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    places = np.column_stack([left + x.ravel() * cell, far - y.ravel() * cell])
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = view.plane.to_pixels(places)
    inside = np.asarray(((pixels >= 0) & (pixels <= view.plane.size)).all(axis=1))
    # Ground behind the camera is mapped to pixels above the horizon, where there is none.
    inside[inside] &= np.isfinite(view.plane.to_metres(pixels[inside])).all(axis=1)
    return inside.reshape(shape[:2])


def _level_colours() -> NDArray[np.uint8]:
    """Return uint8 (6, 3), BGR: brighter with every level, so that grey prints show them, too."""
    ramp = colours()[[0, 0, 55, 115, 175, 245]]
    return np.asarray(ramp, np.uint8)


def _outline(
    canvas: NDArray[np.uint8],
    view: GroundView,
    sheet: _Sheet,
    regions: Sequence[Region],
    lines: Sequence[Line],
    capital: int,
) -> None:
    stroke = max(1, capital // 6)
    if view.marked is not None:
        _polyline(canvas, sheet.at(view.marked), SOFT, stroke, closed=True)
    for region, colour in zip(regions, cycle(REGION_COLOURS), strict=False):
        edge = view.plane.to_metres(region.polygon_in(view.plane.size))
        if np.isfinite(edge).all():
            _polyline(canvas, sheet.at(edge), colour, stroke, closed=True)
    for line in (given.in_size(view.plane.size) for given in lines):
        edge = view.plane.to_metres([line.start, line.end])
        if np.isfinite(edge).all():
            _polyline(canvas, sheet.at(edge), WHITE, stroke + 1, closed=False)


def _polyline(
    canvas: NDArray[np.uint8], at: Array, colour: Colour, stroke: int, *, closed: bool
) -> None:
    corners = [fixed(at).reshape(-1, 1, 2)]
    cv2.polylines(canvas, corners, closed, INK, stroke + 2, cv2.LINE_AA, SHIFT)
    cv2.polylines(canvas, corners, closed, colour, stroke, cv2.LINE_AA, SHIFT)


def _draw_heads(
    canvas: NDArray[np.uint8], result: CountResult, view: GroundView, sheet: _Sheet
) -> None:
    """Draw a dot as wide as a person for every head on the map."""
    places = view.plane.to_metres(result.points[:, :2]) if len(result.points) else np.zeros((0, 2))
    at = sheet.at(places[np.isfinite(places).all(axis=1)])
    at = at[((at >= 0) & (at <= (sheet.width, sheet.height))).all(axis=1)]
    radius = min(max(0.16 * sheet.scale, 1.2), 4.0)
    for colour, size in ((INK, radius + 1), (DOT, radius)):
        for x, y in fixed(at).tolist():
            cv2.circle(canvas, (x, y), round(size * (1 << SHIFT)), colour, -1, cv2.LINE_AA, SHIFT)


def _step(sheet: _Sheet, parts: int) -> int:
    """Return the next round number of metres to a part of the map's width."""
    wanted = sheet.width / sheet.scale / parts
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


def _draw_scale(canvas: NDArray[np.uint8], sheet: _Sheet, capital: int) -> None:
    """Draw a bar of a round length, with its metres, in the lower left corner."""
    metres = _step(sheet, 6)
    long, pad = round(metres * sheet.scale), max(3, capital // 2)
    text = Run(f"{metres} m", capital)
    height = 2 * capital + pad
    if long + 2 * pad > sheet.width or height + pad > sheet.height:
        return
    box = Box(0, sheet.height - height - pad, max(long, text.width) + 2 * pad, sheet.height)
    shade(canvas, box)
    text.draw(canvas, pad, box.top + pad + capital)
    foot, tick = sheet.height - pad, max(2, capital // 3)
    bar = [(pad, foot - tick), (pad, foot), (pad + long, foot), (pad + long, foot - tick)]
    cv2.polylines(canvas, [np.array(bar)], False, WHITE, max(1, capital // 6))


def _legend(kind: Literal["walkway", "queue"], width: int, capital: int) -> NDArray[np.uint8]:
    """Return the levels' colours with their letters, and people per square metre where they end."""
    from edgecount.analytics.ground import level_limits

    gap = max(3, capital // 2)
    bar = round(1.9 * capital)
    canvas: NDArray[np.uint8] = np.empty((2 * capital + bar + 2 * gap, width, 3), np.uint8)
    canvas[:] = INK
    Run("level of service, people per square metre", capital, SOFT).draw(canvas, 0, capital)
    top, swatches = capital + gap, _level_colours().copy()
    swatches[0] = _GROUND
    ends = np.linspace(0, width, len(_LEVELS) + 1).round().astype(int)
    for index, letter in enumerate(_LEVELS):
        left, right = int(ends[index]), int(ends[index + 1])
        canvas[top : top + bar, left : right - 1] = swatches[index]
        dark = swatches[index].mean() > 110
        run = Run(letter, capital, INK if dark else WHITE, bold=True)
        run.draw(canvas, (left + right - run.width) // 2, top + (bar + capital) // 2)
    for limit, place in zip(level_limits(kind), ends[1:], strict=False):
        number = Run(f"{limit:.2g}", capital)
        number.draw(canvas, int(place) - number.width // 2, top + bar + gap + capital)
    return canvas
