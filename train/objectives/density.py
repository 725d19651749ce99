"""Density maps of Gaussian kernels as targets: HSRNet, CSRNet, MCNN."""

from __future__ import annotations

from typing import Literal

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop
from edgecount.train.losses.cells import density_mse
from edgecount.train.losses.scale_consistency import ScaleConsistency
from edgecount.train.losses.structural import FLOOR, background_aware_structural_loss
from edgecount.train.models.base import Maps, Network
from edgecount.train.objectives.base import Arrays, Objective, Tensors, kernels_from
from edgecount.train.targets.attention import CROWD, crowd_attention
from edgecount.train.targets.density import LARGEST

EXPANSION = 50.0


class DensityObjective(Objective):
    """Regression of a density map.

    Crops may have any size. Where images are annotated in a region alone, the network's maps and
    the targets are 0 outside of it (HSRNet section 4.2, UCSD).

    Args:
        network: gives a density.
        loss: ``mse`` (HSRNet Eq. 8) or ``bsl`` (CFANet's background-aware structural loss).
        sigma: spread of the kernels in px; 0: geometry-adaptive (HSRNet Eq. 7).
        beta: spread of an adaptive kernel over the mean distance to the neighbours; CFANet's is 1.
        neighbours: heads in that mean.
        max_sigma: largest adaptive spread in px; 0: no limit.
        squared_constants: square the constants of BSL's SSIM, see
            :func:`background_aware_structural_loss`.
        background_floor: people that BL's share is taken of at least, see :func:`background_loss`.
        per: what N of Eq. 8 is, the number of ``images`` or of ``pixels`` too; see
            :func:`~edgecount.train.losses.cells.density_mse`.
        weight: of the loss: squared densities are tiny beside the weight decay and Adam's epsilon.
        scale_consistency: weight of HSRNet's Scale Consistency (Eq. 9) on the network's five scale
            maps; 0 leaves it out.
    """

    any_crop = True

    def __init__(
        self,
        network: Network,
        *,
        loss: Literal["mse", "bsl"] = "mse",
        sigma: float = 0.0,
        beta: float = 0.3,
        neighbours: int = 3,
        max_sigma: float = LARGEST,
        squared_constants: bool = False,
        background_floor: float = FLOOR,
        per: Literal["images", "pixels"] = "images",
        weight: float = 1.0,
        scale_consistency: float = 0.0,
    ) -> None:
        super().__init__(network)
        if "density" not in self.strides:
            raise ConfigError("objective: density needs a network with a density")
        if "heatmap" in self.strides:
            raise ConfigError(
                "objective: density leaves a heatmap untrained: set the network's option heatmap "
                "(or localization) to false"
            )
        self.loss = loss
        # CFANet's densities: 50 times the people per pixel
        self.expansion = EXPANSION / (self.units["density"] * self.strides["density"] ** 2)
        self.kernels = kernels_from(
            sigma=sigma, beta=beta, neighbours=neighbours, max_sigma=max_sigma
        )
        self.squared = squared_constants
        if not background_floor >= 0:
            raise ConfigError(
                f"objective.background_floor: expected 0 people or more, got {background_floor}"
            )
        self.floor = background_floor
        self.per = per
        self.weight = weight
        self.scale_weight = scale_consistency
        self.scales = ScaleConsistency(levels=5, per=per) if scale_consistency else None

    def targets(self, crop: Crop) -> Arrays:
        """Return ``density`` (1, h, w) times the unit, and ``attention`` (1, h, w) for ``bsl``."""
        height, width = crop.image.shape[:2]
        assert self.kernels is not None
        stride = self.strides["density"]
        density = self.kernels.density(
            crop.points, height, width, stride=stride, region=crop.region
        )
        targets = {"density": density[None] * self.units["density"]}
        if self.loss == "bsl":
            # the threshold is of people per px, the density of people per cell
            targets["attention"] = crowd_attention(density, CROWD * stride**2)[None]
        return targets

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``density`` and ``scales``; see the base class."""
        del progress
        assert maps.density is not None
        if self.loss == "mse":
            error = density_mse(maps.density, targets["density"], per=self.per)
            terms = {"density": self.weight * error}
        else:
            error = background_aware_structural_loss(
                maps.density * self.expansion,
                targets["density"] * self.expansion,
                targets["attention"],
                person=self.expansion * self.units["density"],
                floor=self.floor,
                squared=self.squared,
            )
            terms = {"density": self.weight * error}
        if self.scales is not None:
            if "scales" not in maps.auxiliary:
                raise ConfigError("objective.scale_consistency: the network gives no scale maps")
            error = self.scales(maps.auxiliary["scales"], targets["density"])
            terms["scales"] = self.weight * self.scale_weight * error
        return terms
