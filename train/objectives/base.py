"""The contract of objectives: the targets of a crop, and the losses of a batch."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.data.stack import stack_padded
from edgecount.train.models.base import Maps, Network
from edgecount.train.targets.batched import Heads
from edgecount.train.targets.kernels import Kernels

log = logging.getLogger(__name__)

Arrays = dict[str, NDArray[np.float32]]
Tensors = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """Targets and losses of one way of training; a module, because a loss may have weights.

    Its constructor takes the network and keyword options with plain types (int, float, bool, str,
    Literal), each with a default: they are the keys of a config's ``objective``.

    Attributes:
        any_crop: whether crops may have any sides, not only multiples of the network's: targets
            then have a cell for every begun stride.

    Args:
        network: the network to be trained; strides and units are taken from its outputs.

    Attributes:
        kernels: Gaussians of the density maps that it draws; None: it draws none. Deployed files
            carry them, so that a density is compared with the map that it was trained on.

    Raises:
        ConfigError: the network does not give the maps that this objective trains.
    """

    kernels: Kernels | None = None
    any_crop: bool = False

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.strides = {output.role: output.stride for output in network.outputs}
        self.units = {output.role: output.unit for output in network.outputs}

    @property
    def monitored(self) -> str:
        """Return the role whose count validations measure: the density's where it is trained."""
        return next(role for role in ("density", "heatmap", "boxes") if role in self.strides)

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Look at the training images once, before the first step of a new run."""

    @abstractmethod
    def targets(self, crop: Crop) -> Arrays:
        """Return the target arrays of one crop, channels first; called in the loader's threads."""

    def batch_targets(self, crops: Sequence[Crop], device: torch.device) -> Tensors:
        """Return the targets of a batch on its device, as `targets` and a stack would give them.

        Objectives whose targets can be drawn there do so; this draws them on the CPU.
        """
        made = [self.targets(crop) for crop in crops]
        return {name: stack_padded([one[name] for one in made]).to(device) for name in made[0]}

    def image_targets(self, images: Tensor) -> Tensors:  # noqa: ARG002
        """Return targets that come from the normalised images (B, 3, H, W) themselves."""
        return {}

    @abstractmethod
    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return the weighted terms of the loss, whose sum is minimised.

        Each is a mean over the images of the batch of something normalised within the image, so
        that a batch that is split over processes gives the same gradient as a whole one.

        Args:
            maps: maps of the network, float32.
            targets: the stacked targets (B, ...).
            progress: share of the run that is done, in [0, 1).
        """


def warn_of_points_alone(samples: Sequence[Sample]) -> None:
    """Warn where boxes are learned from images whose heads are annotated as points."""
    crowded = [sample for sample in samples if len(sample.points)]
    bare = [sample for sample in crowded if sample.boxes is None]
    if bare:
        log.warning(
            "data: %d of %d images with people have points without boxes, such as %s: squares are "
            "learned in their place, as large as the distance between neighbours suggests where "
            "the set gives no sizes; `edgecount data boxes` sizes heads by presets",
            len(bare),
            len(crowded),
            bare[0].path,
        )


def kernels_from(**options: float) -> Kernels:
    """Return kernels from options of an objective, whose names an error gives.

    Raises:
        ConfigError: a value is out of range.
    """
    try:
        return Kernels(**options)  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(f"objective.{error}") from None


def heads_of(crops: Sequence[Crop], stride: int) -> Heads:
    """Return the heads of crops of one size on a grid of ``stride`` px."""
    points, boxes = [crop.points for crop in crops], [crop.boxes for crop in crops]
    height, width = crops[0].image.shape[:2]
    return Heads.of(points, boxes, (height, width), stride)
