"""Distillation: a network learns from a larger one's maps beside the annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.config import Teacher
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.losses.blocks import block_count_loss
from edgecount.train.losses.reduce import per_head
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.extent import coverage
from edgecount.train.objectives.base import Arrays, Objective, Tensors

_DENSITY, _HEATMAP = "teacher_density", "teacher_heatmap"


class Distilled(Objective):
    """An objective with the teacher's maps as further targets.

    The teacher sees the very crop that the network sees. Its density stands for block counts, in
    the Poisson likelihood whichever one the annotated counts have (``counts`` of the objective):
    dense crops keep most of its gradient (Liu et al., "Efficient Crowd Counting via Structured
    Knowledge Transfer", ACM MM 2020, train counters so with the teacher's features as well). Its
    heatmap's probabilities are compared cell by cell by the Kullback-Leibler divergence.

    Args:
        network: the network to be trained.
        objective: the objective of the annotations.
        teacher: a trained network with a density at the same stride or a multiple of it, and
            perhaps a heatmap at the same stride.
        weights: weights of the further terms.

    Raises:
        ConfigError: the two networks' maps do not lie on the same cells.
    """

    def __init__(
        self, network: Network, objective: Objective, teacher: Network, weights: Teacher
    ) -> None:
        super().__init__(network)
        self.objective = objective
        self.weights = weights
        # In a tuple, so that it is no part of this module: it is neither trained nor kept.
        self._teacher = (teacher.eval().requires_grad_(requires_grad=False),)
        theirs = {output.role: output for output in teacher.outputs}
        for role in ("density", "heatmap"):
            if role in self.strides and role in theirs:
                _check_strides(role, self.strides[role], theirs[role].stride)
        if "density" not in self.strides or "density" not in theirs:
            raise ConfigError("teacher: expected two networks with a density")
        self._blocks = theirs["density"].stride // self.strides["density"]
        self._unit = self.units["density"] / theirs["density"].unit
        self._points = "heatmap" in self.strides and "heatmap" in theirs
        self._pixels = _pixel_change(network, teacher)

    @property
    def monitored(self) -> str:
        """Return the role whose count validations measure."""
        return self.objective.monitored

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Look at the training images once; see the base class."""
        self.objective.prepare(samples)

    def targets(self, crop: Crop) -> Arrays:
        """Return the annotations' targets."""
        return self.objective.targets(crop)

    def batch_targets(self, crops: Sequence[Crop], device: torch.device) -> Tensors:
        """Return the annotations' targets of a batch."""
        return self.objective.batch_targets(crops, device)

    @torch.no_grad()
    def image_targets(self, images: Tensor) -> Tensors:
        """Return the teacher's ``density`` and ``heatmap`` (probabilities) of a batch."""
        teacher = self._teacher[0].to(images.device)
        factor, shift = (values.to(images) for values in self._pixels)
        maps = teacher(images * factor + shift)
        assert maps.density is not None
        found = {_DENSITY: maps.density.float() * self._unit}
        if self._points:
            assert maps.heatmap_logits is not None
            found[_HEATMAP] = torch.sigmoid(maps.heatmap_logits.float())
        return found

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return the annotations' terms, ``teacher_blocks`` and ``teacher_heatmap``."""
        terms = dict(self.objective.losses(maps, targets, progress))
        assert maps.density is not None
        blocks = block_count_loss(
            F.avg_pool2d(maps.density, self._blocks, divisor_override=1),
            self._seen(targets, "density"),
        )
        terms["teacher_blocks"] = self.weights.density * blocks
        if self._points:
            assert maps.heatmap_logits is not None
            divergence = _divergence(maps.heatmap_logits, self._seen(targets, "heatmap"))
            terms["teacher_heatmap"] = self.weights.heatmap * divergence
        return terms

    def _seen(self, targets: Tensors, role: Literal["density", "heatmap"]) -> Tensor:
        """Return a map of the teacher, 0 outside the annotated region, as the network's is."""
        values = targets[_DENSITY if role == "density" else _HEATMAP]
        if "region" not in targets:
            return values
        blocks = self._blocks if role == "density" else 1
        share = coverage(targets["region"], blocks * self.strides[role])
        return values * (share if role == "density" else (share > 0))


def _divergence(logits: Tensor, probability: Tensor) -> Tensor:
    """Return KL(teacher, network) of each cell's head or none, a sum for each head it expects."""
    cross = F.binary_cross_entropy_with_logits(logits, probability, reduction="none")
    rest = 1 - probability
    entropy = -torch.xlogy(probability, probability) - torch.xlogy(rest, rest)
    return per_head(cross - entropy, probability.sum((1, 2, 3)))


def _check_strides(role: str, ours: int, theirs: int) -> None:
    if theirs % ours or (role == "heatmap" and ours != theirs):
        multiple = " or a multiple of it" if role == "density" else ""
        raise ConfigError(
            f"teacher: expected a {role} of stride {ours} as the network's{multiple}, got stride "
            f"{theirs}"
        )


def _pixel_change(network: Network, teacher: Network) -> tuple[Tensor, Tensor]:
    """Return factor and shift (1, 3, 1, 1) from the network's normalised pixels to the teacher's.

    Raises:
        ConfigError: one takes RGB and the other BGR.
    """
    ours, theirs = network.input, teacher.input
    if ours.channels != theirs.channels:
        raise ConfigError(f"teacher: expected {ours.channels} pixels, got {theirs.channels}")
    mean, scale = (torch.tensor(getattr(ours, name)) for name in ("mean", "scale"))
    to_mean, to_scale = (torch.tensor(getattr(theirs, name)) for name in ("mean", "scale"))
    factor, shift = to_scale / scale, (mean - to_mean) * to_scale
    return factor.reshape(1, 3, 1, 1), shift.reshape(1, 3, 1, 1)
