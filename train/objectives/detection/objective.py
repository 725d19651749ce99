"""The objective of detectors: focal loss of scores, regression of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.losses.box_regression import iou_loss
from edgecount.train.losses.mask_focal import BetaWeighs
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.detection.base import Detector
from edgecount.train.models.extent import coverage
from edgecount.train.objectives.base import Arrays, Objective, Tensors, warn_of_points_alone
from edgecount.train.objectives.detection.rules import Positives, make_rule
from edgecount.train.objectives.detection.scores import Classification, ScoreLoss, Target
from edgecount.train.targets.detection.places import IGNORED, Places, gaussian_weights


class DetectionObjective(Objective):
    """Losses of FCOS, FoveaBox, RetinaNet and YOLOv5, with the scores' focal loss by choice.

    Which places are positive, and the loss of boxes, are as in the network's own paper
    (:mod:`edgecount.train.objectives.detection.rules`); the loss of scores is the choice of the
    Mask Focal Loss paper (Zhong et al., sections III-B and IV-D). What is summed is divided by the
    positive places of each image. Where images are annotated in a region alone, places whose cell
    lies outside it are not trained.

    The paper says that its loss applies to "binary feature maps", whose mask is the positives, and
    that there ``p = 1`` at every positive, so that beta has no part. So L_m on these networks is
    L_f, and poly-L_m is L_f with one more power: what its tables compare under the names Focal Loss
    and Mask Focal Loss. Both have RetinaNet's gamma 2 and alpha 0.25; these are the defaults here.
    It does not say how else ``p`` might be made on anchors or levels. ``target: gaussian`` is what
    the section before suggests (Fig. 3: the Gaussian in the box): a positive scores the heatmap's
    value at its cell.

    Args:
        network: a detector.
        classification: loss of the scores: ``L_f`` (Eq. 2), ``poly-L_f`` (Eq. 5), ``L_m`` (Eq. 6)
            or ``poly-L_m`` (Eq. 7).
        target: what a positive place is to score: ``binary``, 1; ``gaussian``, the heatmap's value;
            ``iou``, the overlap of the box that it predicts, as in YOLOv5. Without ``binary`` the
            loss is L_m or poly-L_m.
        alpha: factor of the scores' loss.
        balanced: alpha weighs positives and ``1 - alpha`` the background, as in RetinaNet's paper;
            the Mask Focal Loss paper prints one alpha before both.
        beta: exponent of the target's factor; None: 0.25 for L_m, 0.5 for poly-L_m.
        gamma: exponent that makes easy places count less.
        epsilon: factor of the power that the poly-1 losses add.
        beta_weighs: terms of poly-L_m with ``p^beta``: the ``added`` power, or ``both``.
        box_weight: weight of the boxes' loss.
        quality_weight: weight of FCOS's centerness.
        positive_iou: RetinaNet: IoU from which an anchor is a head's; None: 0.5.
        negative_iou: RetinaNet: IoU below which it is background; None: 0.4.
        centre_radius: FCOS: how far from a head's centre its cells are, in cells; 0: its whole
            box; None: 1.5.
        shrink: FoveaBox: side of the fovea over that of the box; None: 0.4.
        largest_ratio: YOLOv5: how much longer or shorter than an anchor's a head's sides may be;
            None: 4.

    Raises:
        ConfigError: the network is no detector, or an option is another network's.
    """

    def __init__(
        self,
        network: Network,
        *,
        classification: Classification = "poly-L_m",
        target: Target = "binary",
        alpha: float = 0.25,
        balanced: bool = False,
        beta: float | None = None,
        gamma: float = 2.0,
        epsilon: float = 1.0,
        beta_weighs: BetaWeighs = "added",
        box_weight: float = 1.0,
        quality_weight: float = 1.0,
        positive_iou: float | None = None,
        negative_iou: float | None = None,
        centre_radius: float | None = None,
        shrink: float | None = None,
        largest_ratio: float | None = None,
    ) -> None:
        super().__init__(network)
        if not isinstance(network, Detector):
            raise ConfigError(
                "objective: detection needs a network that gives boxes: fcos, foveabox, retinanet "
                "or yolov5"
            )
        self.rule = make_rule(
            network,
            positive_iou=positive_iou,
            negative_iou=negative_iou,
            centre_radius=centre_radius,
            shrink=shrink,
            largest_ratio=largest_ratio,
        )
        for option, weight in (("box_weight", box_weight), ("quality_weight", quality_weight)):
            if weight < 0:
                raise ConfigError(f"objective.{option}: expected 0 or more, got {weight}")
        self.scores = ScoreLoss(
            classification, target, alpha, balanced, beta, gamma, epsilon, beta_weighs
        )
        self.weights = {"boxes": box_weight, "quality": quality_weight}
        self.grid = network.strides
        self.sizes = [network.anchor_sizes(level) for level in range(len(network.strides))]
        # Not the network: its weights would be the objective's as well.
        self.decode = network.decode

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Warn where the boxes to be learned are not annotated."""
        warn_of_points_alone(samples)

    def targets(self, crop: Crop) -> Arrays:
        """Return ``boxes`` (N, 4) left, top, right, bottom in px, each side a pixel at least."""
        centres = (crop.boxes[:, :2] + crop.boxes[:, 2:]) / 2.0
        half = np.maximum(crop.boxes[:, 2:] - crop.boxes[:, :2], np.float32(1.0)) / 2.0
        return {"boxes": np.concatenate([centres - half, centres + half], 1)}

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``scores`` and ``boxes``, and ``quality`` where the network gives one."""
        del progress
        levels = maps.levels
        device = levels[0].logits.device
        shapes = [(level.logits.shape[2], level.logits.shape[3]) for level in levels]
        places = Places.of(shapes, self.grid, self.sizes, device)
        logits = torch.cat([level.logits.flatten(1) for level in levels], 1)
        raw = torch.cat([_rows(level.boxes) for level in levels], 1)
        distances = [_rows(self.decode(level.boxes, n)) for n, level in enumerate(levels)]
        boxes = places.decoded(torch.cat(distances, 1))
        qualities = [level.quality.flatten(1) for level in levels if level.quality is not None]
        quality = torch.cat(qualities, 1) if qualities else None
        closed = self._closed(targets)
        terms: dict[str, list[Tensor]] = {}
        for image, true in enumerate(targets["boxes"]):
            heads = true[(true[:, 2:] > true[:, :2]).all(1)]  # without the padding
            assigned = self.rule.assign(places, heads)
            if closed is not None:
                assigned = torch.where(closed[image], IGNORED, assigned)
            at = (assigned >= 0).nonzero()[:, 0]
            positives = Positives(
                raw[image, at],
                boxes[image, at],
                None if quality is None else quality[image, at],
                places.chosen(at),
                heads[assigned[at]],
            )
            for name, value in self._terms(logits[image], assigned, at, positives).items():
                terms.setdefault(name, []).append(value)
        return {name: torch.stack(values).mean() for name, values in terms.items()}

    def _terms(self, logits: Tensor, assigned: Tensor, at: Tensor, positives: Positives) -> Tensors:
        """Return the losses of one image, over its positive places."""
        target = torch.zeros_like(logits)
        target[at] = self._wanted(positives)
        scores = torch.where(assigned == IGNORED, 0.0, self.scores(logits, target))
        number = max(len(at), 1)
        terms = {"scores": scores.sum() / number}
        for name, loss in self.rule.losses(positives).items():
            terms[name] = self.weights[name] * loss.sum() / number
        return terms

    def _closed(self, targets: Tensors) -> Tensor | None:
        """Return (B, P) where no pixel of a place's cell is annotated; None: all pixels are."""
        if "region" not in targets:
            return None
        levels = zip(self.grid, self.sizes, strict=True)
        cells = [
            (coverage(targets["region"], stride) == 0).flatten(1).repeat(1, len(sizes))
            for stride, sizes in levels
        ]
        return torch.cat(cells, 1)

    def _wanted(self, positives: Positives) -> Tensor:
        """Return what positive places are to score, (K,) in (0, 1]."""
        if self.scores.target == "binary":
            return torch.ones_like(positives.places.strides)
        if self.scores.target == "gaussian":
            return gaussian_weights(positives.places, positives.target)
        with torch.no_grad():
            overlap = 1.0 - iou_loss(positives.boxes, positives.target, form="linear")
        return overlap.clamp(1e-6, 1.0)


def _rows(boxes: Tensor) -> Tensor:
    """Return (B, 4A, h, w) as (B, A h w, 4), in the order of :class:`Places`."""
    batch, channels, rows, columns = boxes.shape
    split = boxes.reshape(batch, channels // 4, 4, rows, columns)
    return split.permute(0, 1, 3, 4, 2).reshape(batch, -1, 4)
