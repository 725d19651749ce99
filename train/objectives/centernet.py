"""CenterNet's objective: heatmap, offset and size."""

from __future__ import annotations

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop
from edgecount.train.models.base import Maps, Network
from edgecount.train.objectives.base import Arrays, Objective, Tensors
from edgecount.train.objectives.heatmap import HeatmapLoss, HeatmapPart


class CenterNetObjective(Objective):
    """Focal loss of the heatmap, L1 of offset and size (Zhou et al. 2019, Eq. 4).

    Args:
        network: gives a heatmap.
        heatmap_loss: focal loss of the heatmap, see :class:`HeatmapPart`.
        offset_weight: weight of the offset's L1.
        size_weight: weight of the size's L1, in network px.
    """

    def __init__(
        self,
        network: Network,
        *,
        heatmap_loss: HeatmapLoss = "poly-L_m",
        offset_weight: float = 1.0,
        size_weight: float = 0.1,
    ) -> None:
        super().__init__(network)
        if "heatmap" not in self.strides:
            raise ConfigError("objective: centernet needs a network with a heatmap")
        if "density" in self.strides:
            raise ConfigError("objective: centernet leaves a density untrained: choose edge")
        self.heatmap = HeatmapPart(
            self.strides["heatmap"], heatmap_loss, offset_weight, size_weight
        )

    def targets(self, crop: Crop) -> Arrays:
        """Return the targets of :class:`HeatmapPart`."""
        return self.heatmap.targets(crop)

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``heatmap``, ``offset``, ``size``; see the base class."""
        del progress
        return self.heatmap.losses(maps, targets)
