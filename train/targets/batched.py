"""Block counts and heatmap targets of a whole batch at once, on its device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgecount.train.targets.heatmap import SIZE_SIGMAS
from edgecount.train.targets.points import cells_of

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heads:
    """The heads of a batch on a grid of cells; N over all crops.

    Attributes:
        shape: number of crops, rows and columns.
        crop: (N,) int64 number of each head's crop.
        row: (N,) int64 its cell's row.
        column: (N,) int64 its cell's column.
        points: (N, 2) float32 x, y in cells.
        boxes: (N, 4) float32 left, top, right, bottom in px.
    """

    shape: tuple[int, int, int]
    crop: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    points: Array
    boxes: Array

    @classmethod
    def of(
        cls,
        points: Sequence[Array],
        boxes: Sequence[Array],
        size: tuple[int, int],
        stride: int,
    ) -> Heads:
        """Collect the heads of crops.

        Args:
            points: (N, 2) x, y in px of each crop.
            boxes: (N, 4) left, top, right, bottom in px of each crop.
            size: height and width of the crops, px.
            stride: px a cell.
        """
        together = np.concatenate(points)
        columns, rows = cells_of(together, stride, *size)
        return cls(
            (len(points), size[0] // stride, size[1] // stride),
            np.repeat(np.arange(len(points)), [len(some) for some in points]),
            rows,
            columns,
            together / np.float32(stride),
            np.concatenate(boxes),
        )

    @property
    def cell(self) -> NDArray[np.int64]:
        """Number of each head's cell in the batch."""
        return (self.crop * self.shape[1] + self.row) * self.shape[2] + self.column


def batch_counts(heads: Heads, device: torch.device) -> Tensor:
    """Return the number of heads in each cell, (B, 1, h, w) float32."""
    counts = np.bincount(heads.cell, minlength=int(np.prod(heads.shape)))
    batch, rows, columns = heads.shape
    return torch.from_numpy(counts.astype(np.float32).reshape(batch, 1, rows, columns)).to(device)


def batch_heatmaps(heads: Heads, stride: int, device: torch.device) -> dict[str, Tensor]:
    """Return what `heatmap_targets` draws by the rule ``size``, its Gaussians not clipped.

    Returns:
        ``heatmap`` and ``heads`` (B, 1, h, w), ``offset`` and ``size`` (B, 2, h, w), float32.
    """
    batch, rows, columns = heads.shape
    sides = np.maximum(heads.boxes[:, 2:] - heads.boxes[:, :2], np.float32(1.0))
    sigmas = np.clip(np.sqrt(sides.prod(1)) / 5.0, *SIZE_SIGMAS) / stride
    # Of two heads in one cell the later gives offset and size.
    cells, last = np.unique(heads.cell[::-1], return_index=True)
    last = len(heads.cell) - 1 - last
    places = torch.from_numpy(cells).to(device)
    occupied = torch.zeros(batch * rows * columns, device=device)
    occupied[places] = 1.0
    corner = np.stack([heads.column, heads.row], 1).astype(np.float32)
    drawn = {
        "heatmap": torch.maximum(_gaussians(heads, sigmas, device), occupied),
        "heads": occupied,
        "offset": _at(places, (heads.points - corner)[last], len(occupied)),
        "size": _at(places, sides[last], len(occupied)),
    }
    return {
        name: values.reshape(-1, batch, rows, columns).transpose(0, 1)
        for name, values in drawn.items()
    }


def _at(places: Tensor, values: Array, cells: int) -> Tensor:
    """Return (2, cells): a pair of values at the places, 0 elsewhere."""
    out = torch.zeros((2, cells), device=places.device)
    out[:, places] = torch.from_numpy(values.T.copy()).to(places.device)
    return out


def _gaussians(heads: Heads, sigmas: NDArray[np.floating], device: torch.device) -> Tensor:
    """Return the maximum of the heads' Gaussians in each cell, which end at three sigmas."""
    _, rows, columns = heads.shape
    out = torch.zeros(int(np.prod(heads.shape)), device=device)
    if not len(sigmas):
        return out
    radii = np.ceil(3.0 * sigmas).astype(np.int64)
    steps = torch.arange(-int(radii.max()), int(radii.max()) + 1, device=device)
    radius = torch.from_numpy(radii).to(device)[:, None]
    scale = torch.from_numpy((2.0 * sigmas**2).astype(np.float32)).to(device)[:, None, None]
    y = torch.from_numpy(heads.row).to(device)[:, None] + steps
    x = torch.from_numpy(heads.column).to(device)[:, None] + steps
    near = steps.abs() <= radius
    inside_y, inside_x = near & (y >= 0) & (y < rows), near & (x >= 0) & (x < columns)
    squares = (steps**2)[None, :, None] + (steps**2)[None, None, :]
    values = torch.exp(-squares / scale) * (inside_y[:, :, None] & inside_x[:, None, :])
    first = torch.from_numpy(heads.crop).to(device)[:, None, None] * (rows * columns)
    cells = first + y.clamp(0, rows - 1)[:, :, None] * columns + x.clamp(0, columns - 1)[:, None, :]
    return out.scatter_reduce_(0, cells.flatten(), values.flatten(), "amax")
