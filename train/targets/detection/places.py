"""The places of a detector's predictions, and which heads they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgecount.train.targets.heatmap import EPSILON, ETA

# In place of a head's number.
BACKGROUND, IGNORED = -1, -2

Sizes = Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Places:
    """The places of all levels in a row: by level, anchor, row and column, P in all.

    Attributes:
        centres: (P, 2) x, y of the cells' centres, px.
        sizes: (P, 2) width and height of the anchors, px; a cell's where there are none.
        strides: (P,) px a cell.
        levels: (P,) int64 number of the level.
    """

    centres: Tensor
    sizes: Tensor
    strides: Tensor
    levels: Tensor

    @classmethod
    def of(
        cls,
        shapes: Sequence[tuple[int, int]],
        strides: Sequence[int],
        sizes: Sequence[Sizes],
        device: torch.device,
    ) -> Places:
        """Lay out the places of maps.

        Args:
            shapes: rows and columns of each level.
            strides: px a cell of each level.
            sizes: width and height in px of each level's anchors.
            device: where they are kept.
        """
        parts: list[tuple[Tensor, ...]] = []
        levels = zip(shapes, strides, sizes, strict=True)
        for number, ((rows, columns), stride, anchors) in enumerate(levels):
            y = (torch.arange(rows, device=device) + 0.5) * stride
            x = (torch.arange(columns, device=device) + 0.5) * stride
            grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
            cells = len(grid)
            total = cells * len(anchors)
            kinds = torch.tensor(anchors, dtype=torch.float32, device=device)
            parts.append(
                (
                    grid.repeat(len(anchors), 1),
                    kinds.repeat_interleave(cells, 0),
                    torch.full((total,), float(stride), device=device),
                    torch.full((total,), number, device=device),
                )
            )
        return cls(*(torch.cat(some) for some in zip(*parts, strict=True)))

    def chosen(self, at: Tensor) -> Places:
        """Return the places of some numbers (K,) int64."""
        return Places(self.centres[at], self.sizes[at], self.strides[at], self.levels[at])

    def boxes(self) -> Tensor:
        """Return the anchors as (P, 4) left, top, right, bottom, px."""
        return torch.cat([self.centres - self.sizes / 2.0, self.centres + self.sizes / 2.0], 1)

    def decoded(self, distances: Tensor) -> Tensor:
        """Return boxes (..., P, 4) in px of distances (..., P, 4) to their sides in cells."""
        moved = distances * self.strides[:, None]
        return torch.cat([self.centres - moved[..., :2], self.centres + moved[..., 2:]], -1)


def distances_to(places: Places, boxes: Tensor) -> Tensor:
    """Return (P, M, 4) distances in px from the places' centres to the sides of (M, 4) boxes."""
    centres = places.centres[:, None]
    return torch.cat([centres - boxes[None, :, :2], boxes[None, :, 2:] - centres], -1)


def smallest(candidate: Tensor, boxes: Tensor) -> Tensor:
    """Return the head of each place: the smallest one that it is a candidate of.

    Args:
        candidate: (P, M) bool.
        boxes: (M, 4).

    Returns:
        (P,) int64, :data:`BACKGROUND` where there is none.
    """
    if not len(boxes):
        return torch.full(candidate.shape[:1], BACKGROUND, device=candidate.device)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    least, head = torch.where(candidate, areas, torch.inf).min(1)
    return torch.where(least.isfinite(), head, BACKGROUND)


def gaussian_weights(places: Places, boxes: Tensor) -> Tensor:
    """Return (P,) heatmap values of places in their own (P, 4) boxes: Mask Focal Loss, IV-C.

    ``exp(-d^2 / (2 sigma^2))`` of the distance from the cell's centre to the box's, in cells of
    the place's level; sigma is Eq. 10's of the box in these cells. Above 0 in every box.
    """
    strides = places.strides[:, None]
    apart = (places.centres - (boxes[:, :2] + boxes[:, 2:]) / 2.0) / strides
    diameter = 2.0 * ((boxes[:, 2:] - boxes[:, :2]) / strides).amin(1) + 1.0
    sigma = diameter * (1.0 + ETA * torch.exp(-diameter)) / EPSILON
    return torch.exp(-apart.square().sum(1) / (2.0 * sigma.square())).clamp_min(1e-6)
