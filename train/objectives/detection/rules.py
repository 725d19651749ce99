"""The training of each detector's boxes, as in its paper: assignment to heads, and loss."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.losses.box_regression import ciou_loss, giou_loss, smooth_l1_loss
from edgecount.train.models.detection.base import Detector
from edgecount.train.models.detection.fcos import FCOS
from edgecount.train.models.detection.foveabox import FoveaBox
from edgecount.train.models.detection.retinanet import RetinaNet
from edgecount.train.models.detection.yolov5 import YOLOv5
from edgecount.train.targets.detection.anchors import assign_by_overlap, assign_by_shape
from edgecount.train.targets.detection.cells import assign_by_centre, assign_by_fovea
from edgecount.train.targets.detection.places import Places

# A cell that is a head's only one may lie outside its box: the least distance of a logarithm.
_LEAST_CELLS = 0.1


@dataclass(frozen=True, eq=False)
class Positives:
    """The places of one image that are trained on a head; K in all.

    Attributes:
        raw: (K, 4) regression in the network's coding.
        boxes: (K, 4) the same, decoded: left, top, right, bottom, px.
        quality: (K,) logits, where the network gives them.
        places: their places.
        target: (K, 4) boxes of their heads, px.
    """

    raw: Tensor
    boxes: Tensor
    quality: Tensor | None
    places: Places
    target: Tensor

    def distances(self) -> Tensor:
        """Return (K, 4) distances in cells from the centres to the sides of the heads' boxes."""
        centres = self.places.centres
        moved = torch.cat([centres - self.target[:, :2], self.target[:, 2:] - centres], 1)
        return moved / self.places.strides[:, None]


class Rule(ABC):
    """The training of one network's boxes."""

    @abstractmethod
    def assign(self, places: Places, boxes: Tensor) -> Tensor:
        """Return each place's head (P,) int64 of (M, 4) boxes in px, or BACKGROUND or IGNORED."""

    @abstractmethod
    def box_loss(self, positives: Positives) -> Tensor:
        """Return the loss of each box (K,)."""

    def losses(self, positives: Positives) -> dict[str, Tensor]:
        """Return the losses of each positive place (K,): ``boxes``, and what else it predicts."""
        return {"boxes": self.box_loss(positives)}


@dataclass(frozen=True)
class RetinaNetRule(Rule):
    """Heads by overlap, smooth L1 of the anchors' deltas (Faster R-CNN's coding, no factors).

    Attributes:
        positive_iou: IoU from which an anchor is a head's.
        negative_iou: IoU below which it is background.
    """

    positive_iou: float = 0.5
    negative_iou: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise ConfigError(
                "objective.negative_iou: expected 0 <= negative_iou <= positive_iou <= 1, got "
                f"{self.negative_iou} and {self.positive_iou}"
            )

    def assign(self, places: Places, boxes: Tensor) -> Tensor:
        """Return each anchor's head."""
        return assign_by_overlap(
            places, boxes, positive=self.positive_iou, negative=self.negative_iou
        )

    def box_loss(self, positives: Positives) -> Tensor:
        """Return the smooth L1 of (dx, dy, dw, dh)."""
        start, end = positives.target[:, :2], positives.target[:, 2:]
        sizes = positives.places.sizes
        moved = ((start + end) / 2.0 - positives.places.centres) / sizes
        grown = torch.log((end - start) / sizes)
        return smooth_l1_loss(positives.raw, torch.cat([moved, grown], 1))


@dataclass(frozen=True)
class FCOSRule(Rule):
    """Heads by centre and range, GIoU, and centerness.

    Attributes:
        ranges: range of the largest distance to a side on each level, px.
        centre_radius: how far from a head's centre its cells are, in cells; 0: its whole box.
    """

    ranges: Sequence[tuple[float, float]]
    centre_radius: float = 1.5

    def __post_init__(self) -> None:
        if self.centre_radius < 0:
            raise ConfigError(
                f"objective.centre_radius: expected 0 or more cells, got {self.centre_radius}"
            )

    def assign(self, places: Places, boxes: Tensor) -> Tensor:
        """Return each cell's head."""
        return assign_by_centre(places, boxes, self.ranges, radius=self.centre_radius)

    def box_loss(self, positives: Positives) -> Tensor:
        """Return ``1 - GIoU``; the first version of the paper has ``-log IoU``."""
        return giou_loss(positives.boxes, positives.target)

    def losses(self, positives: Positives) -> dict[str, Tensor]:
        """Return ``boxes``, and ``quality`` for the centerness."""
        return {**super().losses(positives), "quality": self.centerness_loss(positives)}

    def centerness_loss(self, positives: Positives) -> Tensor:
        """Return the cross entropy of the centerness (Eq. 3).

        A cell outside its head's box is that head's only one: its centerness is 1.
        """
        assert positives.quality is not None
        pairs = positives.distances().reshape(-1, 2, 2)  # left and top, right and bottom
        ratio = pairs.amin(1).clamp_min(0.0) / pairs.amax(1).clamp_min(_LEAST_CELLS)
        inside = pairs.amin((1, 2)) > 0
        target = torch.where(inside, ratio.prod(1).sqrt(), 1.0)
        return F.binary_cross_entropy_with_logits(positives.quality, target, reduction="none")


@dataclass(frozen=True)
class FoveaBoxRule(Rule):
    """Heads by fovea, smooth L1 of logarithms.

    Attributes:
        ranges: range of the heads' sizes on each level, px.
        base_size: the levels' base size in cells.
        shrink: side of the fovea over that of the box.
    """

    ranges: Sequence[tuple[float, float]]
    base_size: float
    shrink: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.shrink <= 1:
            raise ConfigError(f"objective.shrink: expected a share in (0, 1], got {self.shrink}")

    def assign(self, places: Places, boxes: Tensor) -> Tensor:
        """Return each cell's head."""
        return assign_by_fovea(places, boxes, self.ranges, shrink=self.shrink)

    def box_loss(self, positives: Positives) -> Tensor:
        """Return the smooth L1 of the logarithms of the distances over the base size (Eq. 3)."""
        distances = positives.distances().clamp_min(_LEAST_CELLS)
        return smooth_l1_loss(positives.raw, torch.log(distances / self.base_size))


@dataclass(frozen=True)
class YOLOv5Rule(Rule):
    """Heads by shape, CIoU.

    Its settings weigh boxes by 0.05 beside an objectness that is a mean over all places of the
    image, tens of thousands; beside one that is divided by the positive places, as here, that would
    leave the boxes untrained.

    Attributes:
        largest_ratio: how much longer or shorter than an anchor's a head's sides may be.
    """

    largest_ratio: float = 4.0

    def __post_init__(self) -> None:
        if not self.largest_ratio > 1:
            raise ConfigError(
                f"objective.largest_ratio: expected a number above 1, got {self.largest_ratio}"
            )

    def assign(self, places: Places, boxes: Tensor) -> Tensor:
        """Return each anchor's head."""
        return assign_by_shape(places, boxes, most=self.largest_ratio)

    def box_loss(self, positives: Positives) -> Tensor:
        """Return ``1 - CIoU``."""
        return ciou_loss(positives.boxes, positives.target)


# The options of the objective that each network's rule takes.
TAKES: dict[type[Detector], tuple[str, ...]] = {
    RetinaNet: ("positive_iou", "negative_iou"),
    FCOS: ("centre_radius",),
    FoveaBox: ("shrink",),
    YOLOv5: ("largest_ratio",),
}


def make_rule(network: Detector, **options: float | None) -> Rule:
    """Return the rule of a network's paper.

    Args:
        network: the detector.
        options: options of its rule; None: the paper's value.

    Raises:
        ConfigError: another network's option is given.
    """
    kind = type(network)
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in TAKES[kind]:
            raise ConfigError(
                f"objective.{name}: {kind.__name__} has none; it takes {', '.join(TAKES[kind])}"
            )
    if isinstance(network, FCOS):
        return FCOSRule(_distance_ranges(network.strides), **given)
    if isinstance(network, FoveaBox):
        ranges = _size_ranges(network.strides, network.base_size)
        return FoveaBoxRule(ranges, network.base_size, **given)
    return RetinaNetRule(**given) if isinstance(network, RetinaNet) else YOLOv5Rule(**given)


def _distance_ranges(strides: Sequence[int]) -> tuple[tuple[float, float], ...]:
    """Return FCOS's ranges: up to 8 strides, from 64 px of P3 to 512 of P6; open at both ends."""
    ends = [0.0, *(8.0 * stride for stride in strides[:-1]), float("inf")]
    return tuple(itertools.pairwise(ends))


def _size_ranges(strides: Sequence[int], base: float) -> tuple[tuple[float, float], ...]:
    """Return FoveaBox's ranges (Eq. 1, eta 2): half to twice a level's base size.

    The first also takes what is smaller, and the last what is larger, so that no head is lost.
    """
    ranges = [(base * stride / 2.0, base * stride * 2.0) for stride in strides]
    ranges[0] = (0.0, ranges[0][1])
    ranges[-1] = (ranges[-1][0], float("inf"))
    return tuple(ranges)
