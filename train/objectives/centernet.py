"""CenterNet's objective: heatmap, offset and size."""

from __future__ import annotations

from collections.abc import Sequence

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.losses.mask_focal import BetaWeighs
from edgecount.train.models.base import Maps, Network
from edgecount.train.objectives.base import Arrays, Objective, Tensors, warn_of_points_alone
from edgecount.train.objectives.heatmap import HeatmapFocal, HeatmapLoss, HeatmapPart
from edgecount.train.targets.heatmap import EPSILON, ETA, Overlap


class CenterNetObjective(Objective):
    """Focal loss of the heatmap, L1 of offset and size (Zhou et al. 2019, Eq. 4).

    The rows of Tables III to V of the Mask Focal Loss paper are values of ``heatmap_loss``,
    ``beta`` and ``gamma``; its Eq. 10 is ``eta`` and ``sigma_epsilon``.

    Args:
        network: gives a heatmap.
        heatmap_loss: focal loss of the heatmap, see :class:`HeatmapFocal`, and for the five options
            after it.
        alpha: factor of the focal loss.
        beta: exponent of the heatmap's factor; null: the paper's best of the loss.
        gamma: exponent that makes easy cells count less; null: the paper's best of the loss.
        epsilon: factor of the power that the poly-1 losses add; null: 1.
        beta_weighs: terms of poly-L_m with ``p^beta``: ``added`` (as printed; null, too) or
            ``both``.
        eta: small heads' factor of the Gaussians' spread (Eq. 10).
        sigma_epsilon: divisor of the spread, Eq. 10's epsilon.
        overlap: where Gaussians overlap, their ``max``, or their ``sum`` up to 1.
        offset_weight: weight of the offset's L1.
        size_weight: weight of the size's L1, in network px.
    """

    def __init__(
        self,
        network: Network,
        *,
        heatmap_loss: HeatmapLoss = "poly-L_m",
        alpha: float = 1.0,
        beta: float | None = None,
        gamma: float | None = None,
        epsilon: float | None = None,
        beta_weighs: BetaWeighs | None = None,
        eta: float = ETA,
        sigma_epsilon: float = EPSILON,
        overlap: Overlap = "max",
        offset_weight: float = 1.0,
        size_weight: float = 0.1,
    ) -> None:
        super().__init__(network)
        if "heatmap" not in self.strides:
            raise ConfigError("objective: centernet needs a network with a heatmap")
        if "density" in self.strides:
            raise ConfigError("objective: centernet leaves a density untrained: choose edge")
        self.heatmap = HeatmapPart(
            self.strides["heatmap"],
            HeatmapFocal(heatmap_loss, alpha, beta, gamma, epsilon, beta_weighs),
            offset_weight,
            size_weight,
            eta=eta,
            sigma_epsilon=sigma_epsilon,
            overlap=overlap,
        )

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Warn where the boxes to be learned are not annotated."""
        warn_of_points_alone(samples)

    def targets(self, crop: Crop) -> Arrays:
        """Return the targets of :class:`HeatmapPart`."""
        return self.heatmap.targets(crop)

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``heatmap``, ``offset``, ``size``; see the base class."""
        del progress
        return self.heatmap.losses(maps, targets)
