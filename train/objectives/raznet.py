"""RAZ-Net's objective: density regression and localization by cross entropy."""

from __future__ import annotations

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop
from edgecount.train.losses.cells import density_mse, weighted_bce
from edgecount.train.models.base import Maps, Network
from edgecount.train.objectives.base import Arrays, Objective, Tensors, kernels_from
from edgecount.train.targets.cross import cross_map

MOST_WEIGHT = 1e6


class RAZNetObjective(Objective):
    """MSE of the density, weighted binary cross entropy of the localization map.

    RAZ-Net (CVPR 2019) trains its branches one after the other: a run of the counting branch,
    then one of the localization branch that starts from it (``initial_weights``) with the
    counting branch frozen (``freeze``). A weight of 0 leaves a branch out.

    Args:
        network: a RAZ-Net, or one of its branches.
        counting_weight: weight of the density's loss.
        localization_weight: weight of the localization map's loss.
        sigma: spread of the density's kernels in px; 0: geometry-adaptive.
        positive_weight: weight of the localization map's positive pixels in the cross entropy; 0:
            each crop's negatives over its positives, at most 100. The paper weighs them by their
            rarity, and the sources at hand do not print how; a published re-implementation takes
            100 throughout.
    """

    any_crop = True

    def __init__(
        self,
        network: Network,
        *,
        counting_weight: float = 1.0,
        localization_weight: float = 1.0,
        sigma: float = 0.0,
        positive_weight: float = 0.0,
    ) -> None:
        super().__init__(network)
        if not self.strides.keys() & {"density", "heatmap"}:
            raise ConfigError("objective: raznet needs a network with a density or a heatmap")
        if "heatmap" in self.strides and self.strides["heatmap"] != 1:
            raise ConfigError("objective: raznet needs a heatmap at stride 1")
        for name, value in (("counting", counting_weight), ("localization", localization_weight)):
            if not value >= 0:
                raise ConfigError(f"objective.{name}_weight: expected 0 or more, got {value}")
        if not 0 <= positive_weight <= MOST_WEIGHT:
            raise ConfigError(
                f"objective.positive_weight: expected 0, or a weight up to {MOST_WEIGHT:g}, got "
                f"{positive_weight}"
            )
        self.positive_weight = positive_weight or None
        self.weights = {"density": counting_weight, "heatmap": localization_weight}
        self.kernels = kernels_from(sigma=sigma) if self._trains("density") else None
        if not (self._trains("density") or self._trains("heatmap")):
            raise ConfigError(
                "objective: raznet needs a weight above 0 for a branch of the network"
            )

    @property
    def monitored(self) -> str:
        """Return the role of the branch that is trained, the density's where both are."""
        return "density" if self._trains("density") else "heatmap"

    def targets(self, crop: Crop) -> Arrays:
        """Return ``density`` (1, h, w) times the unit, ``heatmap`` (1, H, W) of crosses."""
        height, width = crop.image.shape[:2]
        targets: Arrays = {}
        if self.kernels is not None:
            density = self.kernels.density(
                crop.points, height, width, stride=self.strides["density"], region=crop.region
            )
            targets["density"] = density[None] * self.units["density"]
        if self._trains("heatmap"):
            targets["heatmap"] = cross_map(crop.points, height, width)[None]
        return targets

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``density`` and ``heatmap``; see the base class."""
        del progress
        terms = {}
        if self._trains("density"):
            assert maps.density is not None
            error = density_mse(maps.density, targets["density"])
            terms["density"] = self.weights["density"] * error
        if self._trains("heatmap"):
            assert maps.heatmap_logits is not None
            error = weighted_bce(
                maps.heatmap_logits, targets["heatmap"], weight=self.positive_weight
            )
            terms["heatmap"] = self.weights["heatmap"] * error
        return terms

    def _trains(self, role: str) -> bool:
        return role in self.strides and self.weights[role] > 0
