"""The contract of the networks: their maps, and how they describe themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgecount.manifest import InputSpec, OutputSpec

# torchvision's ImageNet statistics, on the 0..255 scale
IMAGENET_INPUT = InputSpec(
    mean=(123.675, 116.28, 103.53), scale=(1 / 58.395, 1 / 57.12, 1 / 57.375)
)


class Level(NamedTuple):
    """The raw predictions of a detector at one stride: A boxes a cell.

    Attributes:
        logits: (B, A, h, w) of a head; ``sigmoid`` gives its probability.
        boxes: (B, 4A, h, w) regression in the network's own coding, channel 4a + k.
        quality: (B, A, h, w) logits of what the probability is multiplied by, such as FCOS's
            centerness; None: it stands alone.
    """

    logits: Tensor
    boxes: Tensor
    quality: Tensor | None = None


class Maps(NamedTuple):
    """The maps of a batch, as logits where a loss needs them; a network gives some of them.

    ``s`` is the stride of the network's output of that role (:attr:`Network.outputs`).

    Attributes:
        density: (B, 1, H / s, W / s) expected people per cell times the output's unit, >= 0.
        heatmap_logits: (B, 1, H / s, W / s) head centres; ``sigmoid`` gives the heatmap.
        offset: (B, 2, H / s, W / s) dx, dy of the head centre from its cell's top-left corner, in
            cells, in [0, 1].
        size: (B, 2, H / s, W / s) width and height of the head's box, in network px, > 0.
        auxiliary: outputs that only a loss looks at, by name; the network's docstring lists them.
        levels: predictions of a detector, from fine to coarse, see :class:`Level`.
    """

    density: Tensor | None = None
    heatmap_logits: Tensor | None = None
    offset: Tensor | None = None
    size: Tensor | None = None
    auxiliary: Mapping[str, tuple[Tensor, ...]] = {}
    levels: tuple[Level, ...] = ()


class MapPicture(NamedTuple):
    """A density of a network that a report draws beside the true one.

    Attributes:
        title: its name in the report.
        values: (B, 1, h, w) people per cell, times the unit of the network's density.
        window: side in cells of the windows that the truth is averaged over, as the map's training
            sees it; 1: none.
    """

    title: str
    values: Tensor
    window: int


class Network(nn.Module, ABC):
    """A network that can be trained, evaluated and exported.

    Its constructor takes keyword options with plain types (int, float, bool, str, Literal), each
    with a default: they are the keys of a config's ``model``.

    Attributes:
        input: normalisation of the pixels; ``input.multiple`` px divide the tensor's sides.
        positive: True if the density is above 0 everywhere, as Poisson rates have to be.
        outputs: the maps that it gives, in the manifest's words: name (here the role), role,
            stride and unit.
        densities: names of the auxiliary maps that are densities, as people per cell.
        pretrained: name of the part that ImageNet weights can be loaded into; empty: none.
        fusion_grid: n of the grid of n x n cells in which density and points are blended; 0:
            squares of 64 px. See :class:`edgecount.manifest.FusionSpec`.
    """

    input: InputSpec = InputSpec()
    outputs: tuple[OutputSpec, ...] = ()
    positive: bool = False
    pretrained: str = ""
    fusion_grid: int = 0
    densities: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, image: Tensor) -> Maps:
        """Return the maps of a normalised batch (B, 3, H, W).

        H and W are multiples of ``input.multiple``.
        """

    def pictures(self, maps: Maps) -> list[MapPicture]:  # noqa: ARG002
        """Return what a report draws of the maps of images; nothing by default."""
        return []

    def deploy(self, maps: Maps) -> tuple[Tensor, ...]:
        """Return the outputs of a deployed file, in the order of :attr:`outputs`.

        The density cut at 0 (some papers' networks end in a linear layer), the heatmap in [0, 1],
        the offset as it is, and the size as one channel: the side of a square of the box's area.
        """
        return tuple(self._deployed(maps, output.role) for output in self.outputs)

    def _deployed(self, maps: Maps, role: str) -> Tensor:
        if role == "heatmap":
            assert maps.heatmap_logits is not None
            return torch.sigmoid(maps.heatmap_logits)
        if role == "size":
            assert maps.size is not None
            return maps.size.prod(1, keepdim=True).sqrt()
        value = maps.density if role == "density" else maps.offset
        assert value is not None
        return torch.relu(value) if role == "density" else value
