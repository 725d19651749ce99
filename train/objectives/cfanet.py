"""CFANet's objective: four density maps, and two kinds of attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from edgecount.errors import ConfigError
from edgecount.train.data.sample import Crop, Sample
from edgecount.train.losses.cells import attention_loss, level_loss
from edgecount.train.losses.structural import background_aware_structural_loss, dynamic_weights
from edgecount.train.models.base import Maps, Network
from edgecount.train.models.cfanet import CFANet
from edgecount.train.objectives.base import Arrays, Objective, Tensors
from edgecount.train.targets.attention import crowd_attention, density_levels, level_edges
from edgecount.train.targets.density import density_map

BETA = 1.0
_SAMPLED = 40  # images that the levels' statistics are taken from


class CFANetObjective(Objective):
    """Background-aware structural loss at every stage, cross entropies of CAM and FAM.

    CFANet (WACV 2021): total = SL + BL + lambda L_CAM + mu L_FAM, with weights that shift from
    the attention maps to the density as training goes on (:func:`dynamic_weights`). The maps of
    the coarse stages are compared with targets of the whole size, averaged over their cells:
    a cell is crowd where any of it is.

    Kernels spread over the mean distance to the three nearest heads, up to 25 px, as the paper's
    do (beta 1, where HSRNet's is 0.3).

    Args:
        network: a CFANet.
    """

    edges: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        if not isinstance(network, CFANet):
            raise ConfigError("objective: cfanet needs the network cfanet")
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
        height, width = crop.image.shape[:2]
        density = density_map(crop.points, height, width, beta=BETA)
        return {
            "density": density[None] * self.units["density"],
            "cam": crowd_attention(density)[None],
            "fam": density_levels(density, self._edges),
        }

    def losses(self, maps: Maps, targets: Tensors, progress: float) -> Tensors:
        """Return ``density`` (sum over stages), ``cam``, ``fam``; see the base class."""
        coarse, fine = dynamic_weights(progress)
        stages = maps.auxiliary["stages"]
        density = [
            background_aware_structural_loss(
                stage, targets["density"], targets["cam"], person=self.units["density"]
            )
            for stage in stages
        ]
        terms = {"density": torch.stack(density).sum()}
        for name, weight in (("cam", coarse), ("fam", fine)):
            logits = maps.auxiliary.get(f"{name}_logits", ())
            if logits:
                errors = [self._attention(name, given, targets[name]) for given in logits]
                terms[name] = weight * torch.stack(errors).sum()
        return terms

    def _attention(self, name: str, logits: Tensor, target: Tensor) -> Tensor:
        rows, columns = logits.shape[-2:]
        planes = target if target.ndim == 4 else target[:, None]
        # the highest level of a cell: crowd where any of it is
        pooled = torch.nn.functional.adaptive_max_pool2d(planes, (rows, columns))
        return attention_loss(logits, pooled) if name == "cam" else level_loss(logits, pooled[:, 0])

    @staticmethod
    def _whole(sample: Sample) -> np.ndarray:
        height, width = sample.image().shape[:2]
        return density_map(sample.points, height, width, beta=BETA)
