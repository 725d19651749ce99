"""Overlapping tiles: an engine's memory does not grow with frames that run in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import InputSpec, OutputSpec

# A plane up to this area runs at once; past it the activations of a backbone take gigabytes.
LARGEST_PLANE = 2048 * 2048
# With a larger core less halo is computed twice, and with a smaller one a run takes less memory.
CORE = 1024
# Context around the core. It covers what a person's cell depends on, several heads around it.
HALO = 128


@dataclass(frozen=True)
class Tile:
    """A part of a frame that the engine runs at once: it sees the window, and its core is kept.

    Attributes:
        window: (top, left, height, width) in network pixels; all tiles of a plane have one size.
        core: (top, left, height, width) inside the window; the cores of a plane partition it.
    """

    window: tuple[int, int, int, int]
    core: tuple[int, int, int, int]


def cut_tiles(
    plane: tuple[int, int], spec: InputSpec, least: tuple[int, int] = (0, 0)
) -> tuple[Tile, ...]:
    """Cut a plane into tiles; return none if it can run at once, or has to.

    Args:
        plane: (height, width) in network pixels.
        spec: the model's input.
        least: the smallest (height, width) that the engine takes.
    """
    if plane[0] * plane[1] <= LARGEST_PLANE or spec.static_size is not None:
        return ()
    rows, columns = (
        _cut_side(side, spec.multiple, max(low, spec.min_side))
        for side, low in zip(plane, least, strict=True)
    )
    if len(rows) == len(columns) == 1:
        return ()
    return tuple(
        Tile(
            window=(row.window, column.window, row.size, column.size),
            core=(row.core, column.core, row.kept, column.kept),
        )
        for row in rows
        for column in columns
    )


def stitch(
    tiles: Sequence[Tile],
    plane: tuple[int, int],
    outputs: Sequence[OutputSpec],
    infer: Callable[[Tile], Mapping[str, NDArray[Any]]],
) -> dict[str, NDArray[Any]]:
    """Run tile after tile and put their cores together.

    Args:
        tiles: the tiles of `cut_tiles`.
        plane: (height, width) of the plane in network pixels.
        outputs: the outputs of the manifest.
        infer: runs one tile and returns its checked maps (1, C, h, w) by name.

    Returns:
        The maps of the plane by name, (1, C, height / stride, width / stride), of the tiles' dtype.
    """
    whole: dict[str, NDArray[Any]] = {}
    for tile in tiles:
        maps = infer(tile)
        for output in outputs:
            part = maps[output.name]
            if output.name not in whole:
                shape = *part.shape[:2], plane[0] // output.stride, plane[1] // output.stride
                whole[output.name] = np.zeros(shape, part.dtype)
            top, left, height, width = (side // output.stride for side in tile.core)
            above, before = (side // output.stride for side in tile.window[:2])
            whole[output.name][:, :, top : top + height, left : left + width] = part[
                :, :, top - above : top - above + height, left - before : left - before + width
            ]
    return whole


@dataclass(frozen=True)
class _Span:
    window: int
    size: int
    core: int
    kept: int


def _cut_side(side: int, multiple: int, least: int) -> list[_Span]:
    """Cut a side into cores of one length (the last is shorter) and windows of one length around.

    A window is no shorter than ``least``.

    At the plane's edges the window is shifted inwards rather than padded, so that the network
    sees the edge as it would in one run.
    """
    core, halo = (-(-pixels // multiple) * multiple for pixels in (CORE, HALO))
    size = max(core + 2 * halo, -(-least // multiple) * multiple)
    if size >= side:
        return [_Span(0, side, 0, side)]
    return [
        _Span(min(max(start - halo, 0), side - size), size, start, min(core, side - start))
        for start in range(0, side, core)
    ]
