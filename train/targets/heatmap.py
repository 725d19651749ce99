"""Heatmap, offset, size and mask of head boxes: CenterNet's targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecount.train.targets.points import cells_of

Array = NDArray[np.float32]
Overlap = Literal["max", "sum"]

ETA, EPSILON = 1.0, 6.0
SIZE_SIGMAS = (2.4, 10.0)  # px, least and largest of `size_sigma`


@dataclass(frozen=True)
class HeatmapTargets:
    """The targets of one crop for a heatmap and its offsets and sizes.

    Attributes:
        heatmap: (h, w) one Gaussian a head, joined; at most 1, exactly 1 at the head's cell.
        offset: (2, h, w) dx, dy from the cell's top-left corner, in cells; 0 elsewhere.
        size: (2, h, w) width and height of the box in px; 0 elsewhere.
        heads: (h, w) 1 at cells with a head.
        mask: (h, w) 1 at cells inside a box, which is at least a cell wide and high here.
    """

    heatmap: Array
    offset: Array
    size: Array
    heads: Array
    mask: Array


def heatmap_targets(
    points: Array,
    boxes: Array,
    height: int,
    width: int,
    *,
    stride: int = 4,
    rule: Literal["box", "size"] = "box",
    clip_to_boxes: bool = False,
    eta: float = ETA,
    epsilon: float = EPSILON,
    overlap: Overlap = "max",
) -> HeatmapTargets:
    """Draw the targets of an image of ``height`` x ``width`` px (multiples of ``stride``).

    Where Gaussians overlap, the larger value holds, as in CenterNet. The Mask Focal Loss paper
    prints a sum, which goes above 1 in a crowd, where its losses have no value: ``overlap="sum"``
    ends it at 1, and cells between close heads are then 1 as the heads' own are. Of two heads in
    one cell the later gives offset and size.

    Args:
        points: (N, 2) x, y in px, inside the image.
        boxes: (N, 4) left, top, right, bottom in px; they may reach beyond the image.
        height: height of the image, px.
        width: width of the image, px.
        stride: px a cell.
        rule: the Gaussians' spread: ``box``, :func:`box_sigma`; ``size``, :func:`size_sigma`.
        clip_to_boxes: end each Gaussian at its box, so that the heatmap is above 0 exactly where
            the mask is 1, as the Mask Focal Loss takes for granted.
        eta: small heads' factor of :func:`box_sigma`.
        epsilon: divisor of :func:`box_sigma`.
        overlap: ``max`` or ``sum`` of the Gaussians.
    """
    rows_, columns_ = height // stride, width // stride
    heatmap = np.zeros((rows_, columns_), np.float32)
    offset = np.zeros((2, rows_, columns_), np.float32)
    size = np.zeros_like(offset)
    mask = np.zeros_like(heatmap)
    columns, rows = cells_of(points, stride, height, width)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    spans = _spans(boxes, columns, rows, stride, columns_, rows_)
    join = np.add if overlap == "sum" else np.maximum
    for column, row, side, span in zip(columns, rows, sides, spans, strict=True):
        if rule == "box":
            sigma = box_sigma(side / stride, eta=eta, epsilon=epsilon)
        else:
            sigma = size_sigma(side) / stride
        window, values = _gaussian(
            heatmap, int(column), int(row), sigma, span if clip_to_boxes else None
        )
        join(window, values, out=window)
        mask[span[1] : span[3], span[0] : span[2]] = 1.0
    np.minimum(heatmap, np.float32(1.0), out=heatmap)
    heads = np.zeros_like(heatmap)
    heads[rows, columns] = heatmap[rows, columns] = 1.0
    offset[:, rows, columns] = points.T / stride - np.stack([columns, rows])
    size[:, rows, columns] = sides.T
    return HeatmapTargets(heatmap, offset, size, heads, mask)


def box_sigma(side: Array, *, eta: float = ETA, epsilon: float = EPSILON) -> float:
    """Return the spread for a box of (2,) cells: Mask Focal Loss Eq. 10, with small heads' factor.

    ``D = 2 min(w, h) + 1`` and ``sigma = D (1 + eta exp(-D)) / epsilon``. The paper gives neither
    eta nor epsilon. Epsilon 6 is CenterNet's (a diameter of six spreads), whose diameter is of a
    smaller circle: by the overlap that boxes keep, its spreads are a third to a fifth of these.
    Eta 1 widens a box of one cell by 5%.
    """
    diameter = 2.0 * float(side.min()) + 1.0
    return diameter * (1.0 + eta * float(np.exp(-diameter))) / epsilon


def size_sigma(side: Array) -> float:
    """Return the spread in px for a box of (2,) px: a fifth of its size, between 2.4 and 10 px.

    Below 2.4 px (0.6 cells of 4 px) the Gaussian would be a single cell and a peak one cell off
    would be punished like one in the sky.
    """
    least, largest = SIZE_SIGMAS
    return min(max(float(np.sqrt(side.prod())) / 5.0, least), largest)


def _spans(
    boxes: Array,
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    stride: int,
    across: int,
    down: int,
) -> NDArray[np.int64]:
    """Return the columns and rows whose centres a box covers, and always those of the head's cell.

    Returns:
        (N, 4) first column, first row, last column + 1, last row + 1.
    """
    first = np.ceil(boxes[:, :2] / stride - 0.5).astype(np.int64)
    last = np.floor(boxes[:, 2:] / stride - 0.5).astype(np.int64) + 1
    cells = np.stack([columns, rows], axis=1)
    first = np.clip(np.minimum(first, cells), 0, None)
    last = np.minimum(np.maximum(last, cells + 1), np.array([across, down]))
    return np.concatenate([first, last], axis=1)


def _gaussian(
    heatmap: Array, column: int, row: int, sigma: float, span: NDArray[np.int64] | None
) -> tuple[Array, Array]:
    """Return the view of the heatmap that a head's Gaussian reaches, and its values there."""
    if span is None:
        radius = int(np.ceil(3.0 * sigma))
        left, top = max(column - radius, 0), max(row - radius, 0)
        right, bottom = column + radius + 1, row + radius + 1
    else:
        left, top, right, bottom = span.tolist()
    window = heatmap[top:bottom, left:right]
    y = np.arange(top, top + window.shape[0], dtype=np.float32) - row
    x = np.arange(left, left + window.shape[1], dtype=np.float32) - column
    squares = y[:, None] ** 2 + x[None] ** 2
    values = np.exp(-squares / np.float32(2.0 * sigma**2))
    if span is not None:
        # exp may round to 0 in the corners of a box, inside which the heatmap is above 0
        values = np.maximum(values, np.float32(1e-6))
    return window, values
