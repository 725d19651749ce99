"""The contract of detectors: levels of raw predictions, and their deployed scores and boxes."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.manifest import OutputSpec
from edgecount.train.models.base import Maps, Network

# The largest exponent of a decoded size: 1000 / 16, RetinaNet's bound. Without one an exponential
# may overflow, and an engine has no way to say so.
LARGEST_EXPONENT = 4.135

FINEST, COARSEST = 4, 128


class Detector(Network):
    """A network that gives head boxes at several strides.

    Subclasses set the attributes and implement ``forward``, whose ``Maps`` have ``levels`` alone,
    and :meth:`decode`. Each cell of a level predicts ``anchors`` boxes; the deployed outputs are a
    pair for each level, ``scores_8`` and ``boxes_8`` at stride 8, in the form of
    :class:`edgecount.manifest.OutputSpec`.

    Args:
        strides: strides of the levels, from fine to coarse.
        anchors: boxes that each cell predicts.

    Raises:
        ConfigError: the strides are no powers of two in a row from 4 to 128.
    """

    def __init__(self, strides: Sequence[int], anchors: int = 1) -> None:
        super().__init__()
        check_strides(strides)
        self.strides = tuple(strides)
        self.anchors = anchors
        self.outputs = level_outputs(self.strides, anchors)

    def anchor_sizes(self, level: int) -> tuple[tuple[float, float], ...]:
        """Return width and height in px of each of a level's anchors; a cell where it has none."""
        return ((float(self.strides[level]),) * 2,) * self.anchors

    @abstractmethod
    def decode(self, boxes: Tensor, level: int) -> Tensor:
        """Return distances from the cells' centres to the boxes' sides.

        Args:
            boxes: (B, 4A, h, w) raw regression.
            level: number of the level, from the finest.

        Returns:
            (B, 4A, h, w), channel 4a + k: left, top, right, bottom, in cells.
        """

    def deploy(self, maps: Maps) -> tuple[Tensor, ...]:
        """Return scores in [0, 1] and distances in cells, level by level."""
        outputs: list[Tensor] = []
        for number, level in enumerate(maps.levels):
            scores = torch.sigmoid(level.logits)
            if level.quality is not None:
                scores = scores * torch.sigmoid(level.quality)
            outputs += [scores, self.decode(level.boxes, number)]
        return tuple(outputs)


def check_strides(strides: Sequence[int]) -> None:
    """Check that strides are powers of two in a row, from 4 to 128.

    Raises:
        ConfigError: they are not.
    """
    doubled = all(after == 2 * before for before, after in itertools.pairwise(strides))
    powers = {2**exponent for exponent in range(2, 8)}
    if not strides or not doubled or not powers.issuperset(strides):
        raise ConfigError(
            "model.levels: expected strides that double from one to the next, from "
            f"{FINEST} to {COARSEST}, such as [8, 16, 32], got {list(strides)}"
        )


def level_outputs(strides: Sequence[int], anchors: int) -> tuple[OutputSpec, ...]:
    """Return the outputs of a detector, in the manifest's words."""
    return tuple(
        OutputSpec(f"{role}_{stride}", role, stride, anchors=anchors)
        for stride in strides
        for role in ("scores", "boxes")
    )


def interleave(sides: Sequence[Tensor]) -> Tensor:
    """Join left, top, right, bottom, each (B, A, h, w), to (B, 4A, h, w), channel 4a + k.

    By a choice of channels: a reshape would need the map's size, which an exported graph would
    have to compute.
    """
    joined = torch.cat(list(sides), 1)
    anchors = sides[0].shape[1]
    if anchors == 1:
        return joined
    order = [side * anchors + anchor for anchor in range(anchors) for side in range(4)]
    # index_select exports as one Gather, where an index in brackets becomes three nodes.
    return joined.index_select(1, torch.tensor(order, device=joined.device))
