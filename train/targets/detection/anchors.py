"""Heads of anchors: by overlap (RetinaNet), and by shape (YOLOv5)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecount.train.targets.detection.places import BACKGROUND, IGNORED, Places

# Heads compared with all anchors at once: a hundred thousand anchors and a thousand heads would
# take gigabytes.
_CHUNK = 64


def assign_by_overlap(
    places: Places,
    boxes: Tensor,
    *,
    positive: float = 0.5,
    negative: float = 0.4,
    keep_best: bool = True,
) -> Tensor:
    """Return each anchor's head: the one that it overlaps most (RetinaNet, section 4).

    Args:
        places: the anchors.
        boxes: (M, 4) left, top, right, bottom, px.
        positive: IoU from which an anchor is its head's.
        negative: IoU below which it is background; between the two it is ignored.
        keep_best: a head gives its best anchors to itself whatever their IoU, as Faster R-CNN's
            region proposal network does: heads of 10 px overlap no anchor of 32 px by half, and
            a head that none is trained on is not counted.

    Returns:
        (P,) int64 head, or :data:`BACKGROUND` or :data:`IGNORED`.
    """
    anchors = places.boxes()
    overlap = torch.zeros(len(anchors), device=boxes.device)
    head = torch.full((len(anchors),), BACKGROUND, device=boxes.device)
    best: list[tuple[Tensor, Tensor]] = []
    for first in range(0, len(boxes), _CHUNK):
        shared = pairwise_iou(anchors, boxes[first : first + _CHUNK])
        most, which = shared.max(1)
        head = torch.where(most > overlap, which + first, head)
        overlap = torch.maximum(overlap, most)
        highest = shared.amax(0)
        tied = (shared == highest) & (highest > 0.0)
        at, of = tied.nonzero(as_tuple=True)
        best.append((at, of + first))
    assigned = torch.where(overlap >= positive, head, IGNORED)
    assigned = torch.where(overlap < negative, BACKGROUND, assigned)
    if keep_best and best:
        at, of = (torch.cat(parts) for parts in zip(*best, strict=True))
        # Of two heads with one best anchor it is the later one's; ties of equal anchors all count.
        assigned.scatter_reduce_(0, at, of, "amax", include_self=False)
    return assigned


def assign_by_shape(places: Places, boxes: Tensor, *, most: float = 4.0) -> Tensor:
    """Return each anchor's head by YOLOv5's rule.

    A head belongs to every anchor whose sides are less than ``most`` times as long or short, in
    the cell of its centre and in the two next to it that the centre is nearest to. An anchor of
    several heads takes the one whose centre is nearest to its cell's (the original has one loss
    for each, of which the targets contradict each other).

    Args:
        places: the anchors.
        boxes: (M, 4) left, top, right, bottom, px.
        most: largest ratio of the sides.

    Returns:
        (P,) int64 head, or :data:`BACKGROUND`.
    """
    nearest = torch.full((len(places.centres),), torch.inf, device=boxes.device)
    head = torch.full((len(places.centres),), BACKGROUND, device=boxes.device)
    for first in range(0, len(boxes), _CHUNK):
        some = boxes[first : first + _CHUNK]
        sides = (some[:, 2:] - some[:, :2])[None]
        ratio = sides / places.sizes[:, None]
        fits = torch.maximum(ratio, 1.0 / ratio).amax(-1) < most
        centres = (some[:, :2] + some[:, 2:]) / 2.0
        apart = ((centres[None] - places.centres[:, None]) / places.strides[:, None, None]).abs()
        # Within half a cell on one axis and a whole one on the other: own cell and neighbours.
        near = (apart.amin(-1) <= 0.5) & (apart.amax(-1) < 1.0)
        distance = torch.where(fits & near, apart.square().sum(-1), torch.inf)
        least, which = distance.min(1)
        head = torch.where(least < nearest, which + first, head)
        nearest = torch.minimum(nearest, least)
    return head


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU (N, M) of each of (N, 4) boxes with each of (M, 4)."""
    start = torch.maximum(first[:, None, :2], second[None, :, :2])
    end = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (end - start).clamp_min(0.0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return shared / (areas[0][:, None] + areas[1][None] - shared)
