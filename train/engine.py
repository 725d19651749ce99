"""The two functions of a training run: training steps, and a validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgecount import _ext
from edgecount.errors import EdgeCountError
from edgecount.train.config import TrainConfig
from edgecount.train.data.mixture import Batch, normalise
from edgecount.train.data.sample import Sample
from edgecount.train.evaluate.boxes import BOX_THRESHOLDS, find_boxes
from edgecount.train.evaluate.metrics import count_metrics
from edgecount.train.models.base import Level, Maps, Network
from edgecount.train.models.extent import coverage, limit_maps, limit_targets, pad_black
from edgecount.train.objectives import Objective
from edgecount.train.objectives.base import Tensors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# Where a network gives head points alone, their count is read at the best of these.
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
WINDOW = 3


class System(nn.Module):
    """A network with its objective: from a batch to the terms of the loss, in one forward.

    Crops whose sides are no multiples of the network's are padded as the runtime pads, and the maps
    are cropped again and restricted to the annotated region before the losses see them.

    One module, so that several processes synchronise the weights of both.
    """

    def __init__(self, network: Network, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, images: Tensor, targets: Tensors, progress: float) -> Tensors:
        """Return the terms of the loss, which is never computed in half precision."""
        padded = pad_black(images, self.network.input)
        maps = self.network(padded)
        targets = {**targets, **self.objective.image_targets(images)}
        with torch.autocast(images.device.type, enabled=False):
            height, width = padded.shape[-2:]
            seen = limit_maps(
                _float(maps),
                (height, width),
                (images.shape[-2], images.shape[-1]),
                targets.get("region"),
                self.network.densities,
            )
            targets = limit_targets(targets, self.objective.strides)
            terms: Tensors = self.objective.losses(seen, targets, progress)
        return terms


@dataclass
class Learner:
    """The state of a training run: network, averaged network, optimiser and progress.

    Attributes:
        fabric: device, precision and processes.
        system: network and objective, as Fabric runs them.
        network: the network inside.
        averaged: the moving average of its weights.
        optimiser: the optimiser, as Fabric runs it.
        step: steps taken.
        best: the least monitored error so far.
        stale_validations: validations since then.
        lr_drops: times that the plateau schedule has cut the learning rate.
        bn_frozen: True once all batch norms keep their statistics, see ``freeze_bn``.
    """

    fabric: Fabric
    system: nn.Module
    network: Network
    objective: Objective
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = float("inf")
    stale_validations: int = 0
    lr_drops: int = 0
    bn_frozen: bool = False


def train_steps(
    learner: Learner,
    batches: Iterable[Batch],
    config: TrainConfig,
    rate: Callable[[int], float],
) -> dict[str, float]:
    """Take one step a batch and return the mean of each loss term over batches and processes.

    Args:
        learner: state of the run.
        batches: this process's share of each batch.
        config: the run.
        rate: function from a step to its learning rate.

    Raises:
        EdgeCountError: the loss is not finite; nothing of that step is applied.
    """
    learner.network.train()
    _freeze_norms(learner.network, every=learner.bn_frozen)
    freeze_from = math.ceil(config.freeze_bn * config.steps)
    totals: dict[str, Tensor] = {}
    taken = 0
    for batch in batches:
        if learner.step >= freeze_from and not learner.bn_frozen:
            _freeze_all_norms(learner)
        loss = _forward(learner, batch, config, totals)
        _apply(learner, loss, config, rate(learner.step), batch)
        learner.step += 1
        taken += 1
    means: dict[str, float] = {}
    for name, total in totals.items():
        reduced: Any = learner.fabric.all_reduce(total / max(taken, 1), reduce_op="mean")
        means[name] = float(reduced)
    return means


def _forward(
    learner: Learner, batch: Batch, config: TrainConfig, totals: dict[str, Tensor]
) -> Tensor:
    moved = batch.to(learner.fabric.device)
    crops = sum(len(one.images) for one in moved.sizes)
    losses = []
    for one in moved.sizes:
        # The layout that convolutions are fastest in, on CPUs and GPUs alike.
        images = one.images.contiguous(memory_format=torch.channels_last)
        terms = learner.system(images, one.targets, learner.step / config.steps)
        share = len(images) / crops  # each term is a mean over its crops
        losses.append(share * torch.stack(list(terms.values())).sum())
        for name, value in terms.items():
            # Kept as tensors: reading a number would wait for the GPU at every step.
            totals[name] = totals.get(name, torch.zeros_like(value)) + share * value.detach()
    loss = torch.stack(losses).sum()
    _check_finite(loss, f"loss of step {learner.step}", batch)
    return loss


def _check_finite(value: Tensor, name: str, batch: Batch) -> None:
    if not torch.isfinite(value):
        names = {name for one in batch.sizes for name in one.names}
        raise EdgeCountError(
            f"the {name} is not finite: lower learning_rate or train in fp32. "
            f"Its images: {', '.join(sorted(names))}"
        )


def _apply(learner: Learner, loss: Tensor, config: TrainConfig, rate: float, batch: Batch) -> None:
    learner.optimiser.zero_grad(set_to_none=True)
    learner.fabric.backward(loss)
    norm = learner.fabric.clip_gradients(
        learner.system,
        learner.optimiser,
        max_norm=config.clip_norm or float("inf"),
        error_if_nonfinite=False,
    )
    # With fp16 an overflow is expected now and then: its optimiser skips that step.
    if config.precision != "fp16" and norm is not None:
        _check_finite(norm, f"gradient of step {learner.step}", batch)
    for group in learner.optimiser.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)
    learner.optimiser.step()
    learner.averaged.update_parameters(learner.network)


def _freeze_norms(network: nn.Module, *, every: bool) -> None:
    """Put batch norms in evaluation mode, every one or those whose weights are frozen."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and (every or not module.weight.requires_grad):
            module.eval()


@torch.no_grad()
def _freeze_all_norms(learner: Learner) -> None:
    """Freeze the norms at the averaged network's statistics: those of hundreds of batches.

    Each process has seen its own batches; their mean is taken, so that all train one function.
    """
    averaged = dict(learner.averaged.module.named_buffers())
    for name, buffer in learner.network.named_buffers():
        if buffer.is_floating_point():
            shared: Any = learner.fabric.all_reduce(averaged[name].clone(), reduce_op="mean")
            averaged[name].copy_(shared)
            buffer.copy_(shared)
    _freeze_norms(learner.network, every=True)
    learner.bn_frozen = True


@torch.no_grad()
def predict(
    network: Network, image: NDArray[np.uint8], region: NDArray[np.bool_] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the deployed maps (C, h, w) of one BGR image (H, W, 3), cut to the cells it covers.

    Args:
        network: a network in evaluation mode, on any device.
        image: the image, at the size that the network is to see.
        region: (H, W) the annotated pixels, outside of which density and heatmap are 0; None: all.

    Returns:
        map by the output's name, which is its role for all but detectors.
    """
    height, width = image.shape[:2]
    tensor = torch.from_numpy(normalise(image, network.input))[None]
    padded = pad_black(tensor, network.input)
    device = next(network.parameters()).device
    maps = network(padded.to(device).contiguous(memory_format=torch.channels_last))
    deployed: dict[str, NDArray[np.float32]] = {
        output.name: np.ascontiguousarray(
            values[0, :, : -(-height // output.stride), : -(-width // output.stride)]
            .float()
            .numpy(force=True)
        )
        for output, values in zip(network.outputs, network.deploy(maps), strict=True)
    }
    return deployed if region is None else _inside(deployed, network, region)


def _inside(
    deployed: dict[str, NDArray[np.float32]], network: Network, region: NDArray[np.bool_]
) -> dict[str, NDArray[np.float32]]:
    """Set density and heatmap to 0 outside a region; a cell in part inside keeps its share."""
    given = torch.from_numpy(region.astype(np.float32))[None, None]
    for output in network.outputs:
        if output.role in {"density", "heatmap"}:
            share = coverage(given, output.stride)[0].numpy()
            # a head's point lies in the region or not, its cell is not shared
            deployed[output.name] *= share if output.role == "density" else (share > 0)
    return deployed


def evaluate(
    network: Network,
    samples: Sequence[Sample],
    fabric: Fabric | None = None,
    *,
    role: str | None = None,
    progress: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Measure the counts of whole images at their own size: the density's, points' or boxes'.

    Args:
        network: the network; it is put in evaluation mode.
        samples: annotated images; the processes share them.
        fabric: device and processes.
        role: ``density``, ``heatmap`` or ``boxes``; None: the first of these that there is.
        progress: called after each image of this process.

    Returns:
        The values of :func:`count_metrics`, and ``threshold`` where points or boxes were counted:
        the one of :data:`THRESHOLDS` or :data:`BOX_THRESHOLDS` with the least error.
    """
    network.eval()
    if role is None:
        given = {output.role for output in network.outputs}
        role = next(one for one in ("density", "heatmap", "boxes") if one in given)
    thresholds = BOX_THRESHOLDS if role == "boxes" else THRESHOLDS
    rank, processes = (fabric.global_rank, fabric.world_size) if fabric else (0, 1)
    # Each process fills its own rows; the others are 0, so that a sum joins them.
    counts = torch.zeros(len(samples), len(thresholds), dtype=torch.float64)
    for index in range(rank, len(samples), processes):
        counts[index] = torch.from_numpy(_counts(network, samples[index], role))
        if progress:
            progress()
    if fabric and processes > 1:
        summed: Any = fabric.all_reduce(counts.to(fabric.device), reduce_op="sum")
        counts = summed.cpu()
    true = [float(len(sample.points)) for sample in samples]
    if role == "density":
        return count_metrics(counts[:, 0].tolist(), true)
    tried = [
        {**count_metrics(counts[:, column].tolist(), true), "threshold": threshold}
        for column, threshold in enumerate(thresholds)
    ]
    return min(tried, key=lambda metrics: metrics["mae"])


def _counts(network: Network, sample: Sample, role: str) -> NDArray[np.float64]:
    """Return the count of one image, at each threshold where it depends on one."""
    image = sample.image()
    mask = sample.mask(*image.shape[:2])
    maps = predict(network, image, mask)
    if role == "boxes":
        scores, _ = find_boxes(maps, network.outputs, image.shape[1::-1], region=mask)
        return np.array([(scores > threshold).sum() for threshold in BOX_THRESHOLDS], np.float64)
    if role == "density":
        unit = next(output.unit for output in network.outputs if output.role == "density")
        return np.full(len(THRESHOLDS), maps["density"].sum(dtype=np.float64) / unit)
    found = _ext.count_maps(
        maps["heatmap"], maps["offset"][None] if "offset" in maps else None,
        window=WINDOW, threshold=min(THRESHOLDS),
    ).peaks[0]  # fmt: skip
    return np.array([(found[:, 2] > threshold).sum() for threshold in THRESHOLDS], np.float64)


def _float(maps: Maps) -> Maps:
    """Return the maps in float32."""
    auxiliary = {name: tuple(v.float() for v in values) for name, values in maps.auxiliary.items()}
    density, heatmap, offset, size = (None if v is None else v.float() for v in maps[:4])
    levels = tuple(
        Level(logits.float(), boxes.float(), None if quality is None else quality.float())
        for logits, boxes, quality in maps.levels
    )
    return Maps(density, heatmap, offset, size, auxiliary, levels)
