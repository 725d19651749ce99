"""Heads of cells without anchors: FCOS and FoveaBox."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgecount.train.targets.detection.places import Places, distances_to, smallest

# Heads compared with all cells at once, so that a crowd does not take gigabytes.
_CHUNK = 64


def assign_by_centre(
    places: Places,
    boxes: Tensor,
    ranges: Sequence[tuple[float, float]],
    *,
    radius: float = 1.5,
) -> Tensor:
    """Return each cell's head by FCOS's rule.

    A cell is a candidate of a head if its centre lies inside the box, no further than ``radius``
    cells from the box's centre on either axis (centre sampling, of the authors' improved version),
    and if the largest of its distances to the sides is in its level's range. Of several heads it
    takes the smallest.

    A head without any such cell, as one that is smaller than a cell may be, gets the cell under its
    centre, on the level whose range half its longer side is in: else it would not be trained on.

    Args:
        places: the cells.
        boxes: (M, 4) left, top, right, bottom, px.
        ranges: the largest distance in px of each level: above the first, up to the second.
        radius: in cells; 0: the whole box, as in the paper.

    Returns:
        (P,) int64 head, or -1, background.
    """
    lower, upper = _of_levels(ranges, places)
    parts = [_centred(places, some, lower, upper, radius) for some in torch.split(boxes, _CHUNK)]
    return smallest(torch.cat(parts, 1) if parts else _none(places), boxes)


def _centred(places: Places, boxes: Tensor, lower: Tensor, upper: Tensor, radius: float) -> Tensor:
    distances = distances_to(places, boxes)
    largest = distances.amax(-1)
    inside = distances.amin(-1) > 0
    apart = _cells_apart(places, boxes)
    if radius:
        inside &= apart < radius
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1)[None] / 2.0
    ranged = (largest > lower) & (largest <= upper)
    own = (apart <= 0.5) & (half > lower) & (half <= upper)
    candidate = inside & ranged
    return candidate | (own & ~candidate.any(0))


def assign_by_fovea(
    places: Places,
    boxes: Tensor,
    ranges: Sequence[tuple[float, float]],
    *,
    shrink: float = 0.4,
) -> Tensor:
    """Return each cell's head by FoveaBox's rule.

    A head belongs to every level whose range its size, the root of its area, is in (ranges
    overlap), there to the cells whose centres lie in its box shrunk by ``shrink`` (the fovea). Of
    several heads a cell takes the smallest. A fovea without a cell's centre in it has the cell
    under its own centre.

    Args:
        places: the cells.
        boxes: (M, 4) left, top, right, bottom, px.
        ranges: the smallest and the largest size in px of each level.
        shrink: side of the fovea over that of the box.

    Returns:
        (P,) int64 head, or -1, background.
    """
    lower, upper = _of_levels(ranges, places)
    parts = [_foveal(places, some, lower, upper, shrink) for some in torch.split(boxes, _CHUNK)]
    return smallest(torch.cat(parts, 1) if parts else _none(places), boxes)


def _foveal(places: Places, boxes: Tensor, lower: Tensor, upper: Tensor, shrink: float) -> Tensor:
    sides = boxes[:, 2:] - boxes[:, :2]
    size = sides.prod(1).sqrt()[None]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    offsets = (places.centres[:, None] - centres[None]).abs()
    inside = (offsets <= shrink / 2.0 * sides[None]).all(-1)
    ranged = (size >= lower) & (size <= upper)
    own = (_cells_apart(places, boxes) <= 0.5) & ranged
    candidate = inside & ranged
    out = candidate
    for level in range(int(places.levels[-1]) + 1):
        here = (places.levels == level)[:, None]
        out = out | (own & here & ~(candidate & here).any(0))
    return out


def _cells_apart(places: Places, boxes: Tensor) -> Tensor:
    """Return (P, M) the larger distance on an axis from cell to box centre, in cells."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    apart = (places.centres[:, None] - centres[None]).abs().amax(-1)
    return apart / places.strides[:, None]


def _of_levels(ranges: Sequence[tuple[float, float]], places: Places) -> tuple[Tensor, Tensor]:
    """Return (P, 1) the lower and the upper end of each place's range."""
    ends = torch.tensor(ranges, dtype=torch.float32, device=places.centres.device)
    lower, upper = ends[places.levels].unbind(1)
    return lower[:, None], upper[:, None]


def _none(places: Places) -> Tensor:
    return torch.zeros((len(places.centres), 0), dtype=torch.bool, device=places.centres.device)
