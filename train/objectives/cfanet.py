"""CFANet's objective: four density maps, and two kinds of attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.losses.cells import attention_loss, level_loss
from edgecount.train.losses.structural import (
    FLOOR,
    background_aware_structural_loss,
    shifting_weight,
)
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.cfanet import CFANet
from edgecount.train.objectives.base import Arrays, Objective, Tensors, kernels_from
from edgecount.train.targets.attention import crowd_attention, density_levels, level_edges

Array = NDArray[np.float32]

_SAMPLED = 40  # images that the levels' statistics are taken from


class CFANetObjective(Objective):
    """Background-aware structural loss at every stage, cross entropies of CAM and FAM.

    CFANet (WACV 2021): total = SL + BL + lambda L_CAM + mu L_FAM, with weights that shift from
    the attention maps to the density as training goes on (:func:`shifting_weight`). The maps of
    the coarse stages are compared with the highest level in each of their cells: a cell is crowd
    where any of it is. Crops may have any size.

    Kernels spread over the mean distance to the three nearest heads (beta 1, where HSRNet's is
    0.3), without a limit, as the paper has it.

    Args:
        network: a CFANet; the densities of its last ``supervised_stages`` are trained.
        beta: spread of a kernel over the mean distance to the neighbours.
        neighbours: heads in that mean.
        max_sigma: largest spread in px; 0: no limit.
        squared_constants: square the constants of SSIM, see
            :func:`background_aware_structural_loss`.
        background_floor: people that BL's share is taken of at least, see :func:`background_loss`;
            0: the share as printed.
        cam_weight: lambda at the start of the training, and once it has shifted.
        fam_weight: mu, likewise.
        shifted: share of the training after which both weights stay.
    """

    any_crop = True
    edges: Tensor

    def __init__(
        self,
        network: Network,
        *,
        beta: float = 1.0,
        neighbours: int = 3,
        max_sigma: float = 0.0,
        squared_constants: bool = False,
        background_floor: float = FLOOR,
        cam_weight: tuple[float, float] = (1.0, 0.1),
        fam_weight: tuple[float, float] = (1.0, 0.1),
        shifted: float = 0.5,
    ) -> None:
        super().__init__(network)
        if not isinstance(network, CFANet):
            raise ConfigError("objective: cfanet needs the network cfanet")
        self.kernels = kernels_from(beta=beta, neighbours=neighbours, max_sigma=max_sigma)
        self.squared = squared_constants
        _check(background_floor >= 0, "background_floor", "0 people or more", background_floor)
        self.floor = background_floor
        for name, pair in (("cam_weight", cam_weight), ("fam_weight", fam_weight)):
            _check(min(pair) >= 0, name, "two weights of 0 or more", list(pair))
        _check(0 <= shifted <= 1, "shifted", "a share in [0, 1]", shifted)
        self.weights = {"cam": cam_weight, "fam": fam_weight}
        self.shifted = shifted
        self.classes = network.weights.shape[1]
        self.register_buffer("edges", torch.full((self.classes - 2,), 1e-3))
        # the loader's threads read a copy, which costs no device anything
        self._edges = self.edges.numpy().copy()
        hook = self.register_load_state_dict_post_hook
        hook(lambda module, _: module._copy_edges())  # type: ignore[no-untyped-call]

    def _copy_edges(self) -> None:
        self._edges = self.edges.numpy(force=True).copy()

    def prepare(self, samples: Sequence[Sample]) -> None:
        """Split the densities of the training set into levels of equal frequency."""
        if not samples:
            return
        chosen = samples[:: max(len(samples) // _SAMPLED, 1)]
        edges = level_edges((self._whole(sample) for sample in chosen), self.classes)
        self.edges.copy_(torch.from_numpy(edges))
        self._copy_edges()

    def targets(self, crop: Crop) -> Arrays:
        """Return ``density`` (1, H, W) times the unit, ``cam`` (1, H, W), ``fam`` (H, W) labels."""
        density = self._density(crop.points, crop.image, crop.region)
        return {
            "density": density[None] * np.float32(self.units["density"]),
            "cam": crowd_attention(density)[None],
            "fam": density_levels(density, self._edges),
        }

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``density`` (sum over stages), ``cam``, ``fam``; see the base class."""
        density = [
            background_aware_structural_loss(
                stage,
                targets["density"],
                targets["cam"],
                person=self.units["density"],
                floor=self.floor,
                squared=self.squared,
            )
            for stage in maps.auxiliary["stages"]
        ]
        terms = {"density": torch.stack(density).sum()}
        for name, (first, last) in self.weights.items():
            logits = maps.auxiliary.get(f"{name}_logits", ())
            if logits:
                errors = [
                    self._attention(name, given, targets[name], 2 ** (len(logits) - 1 - index))
                    for index, given in enumerate(logits)
                ]
                weight = shifting_weight(progress, first, last, self.shifted)
                terms[name] = weight * torch.stack(errors).sum()
        return terms

    def _attention(self, name: str, logits: Tensor, target: Tensor, stride: int) -> Tensor:
        planes = target if target.ndim == 4 else target[:, None]
        # of cells that reach past the image the part inside
        pooled = F.max_pool2d(planes, stride, ceil_mode=True)
        return attention_loss(logits, pooled) if name == "cam" else level_loss(logits, pooled[:, 0])

    def _whole(self, sample: Sample) -> Array:
        image = sample.image()
        return self._density(sample.points, image, sample.mask(*image.shape[:2]))

    def _density(
        self, points: Array, image: NDArray[np.uint8], region: NDArray[np.bool_] | None
    ) -> Array:
        assert self.kernels is not None
        height, width = image.shape[:2]
        return self.kernels.density(points, height, width, region=region)


def _check(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise ConfigError(f"objective.{name}: expected {expected}, got {got}")
