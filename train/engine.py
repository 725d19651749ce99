"""The two functions of a training run: a stretch of steps, and a validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from edgecount.errors import EdgeCountError
from edgecount.runtime.images import read_image
from edgecount.train.config import TrainConfig
from edgecount.train.data.mixture import Batch, normalise
from edgecount.train.data.readers import Sample
from edgecount.train.losses import block_count_loss, heatmap_focal_loss, offset_loss
from edgecount.train.metrics import count_metrics
from edgecount.train.models.base import Maps


@dataclass
class Learner:
    """What changes while training."""

    network: nn.Module
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    step: int = 0


def compute_losses(maps: Maps, batch: Batch, config: TrainConfig) -> dict[str, Tensor]:
    """The weighted terms of the loss, whose sum is minimised."""
    return {
        "blocks": block_count_loss(maps.density, batch.counts, total_weight=config.total_weight),
        "heatmap": config.heatmap_weight * heatmap_focal_loss(maps.heatmap_logits, batch.heatmap),
        "offset": config.offset_weight * offset_loss(maps.offset, batch.offset, batch.heads),
    }


def train_steps(
    learner: Learner, batches: Iterable[Batch], config: TrainConfig
) -> dict[str, float]:
    """Take one step a batch; returns the mean of each loss term.

    Raises:
        EdgeCountError: the loss is not finite; nothing of that step is applied.
    """
    learner.network.train()
    totals: dict[str, float] = {}
    taken = 0
    for batch in batches:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        with autocast(config.precision):
            maps = learner.network(images)
        losses = compute_losses(maps, batch, config)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise EdgeCountError(
                f"the loss of step {learner.step} is not finite: lower learning_rate "
                "or train in fp32"
            )
        learner.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.network.parameters(), config.clip_norm)
        learner.optimiser.step()
        learner.schedule.step()
        learner.averaged.update_parameters(learner.network)
        learner.step += 1
        taken += 1
        for name, value in losses.items():
            totals[name] = totals.get(name, 0.0) + value.item()
    return {name: total / max(taken, 1) for name, total in totals.items()}


@torch.no_grad()
def predict(network: nn.Module, image: NDArray[np.uint8], precision: str = "fp32") -> Maps:
    """The maps of one BGR image (H, W, 3) at its own size, cut to the cells that it covers."""
    height, width = image.shape[:2]
    tensor = torch.from_numpy(normalise(image))[None]
    padded = F.pad(tensor, (0, -width % 32, 0, -height % 32), value=-1.0)  # black
    with autocast(precision):
        maps = network(padded.contiguous(memory_format=torch.channels_last))
    fine = (..., slice(-(-height // 4)), slice(-(-width // 4)))
    coarse = (..., slice(-(-height // 8)), slice(-(-width // 8)))
    return Maps(maps.density[coarse], maps.heatmap_logits[fine], maps.offset[fine])


def evaluate(network: nn.Module, samples: Sequence[Sample], precision: str) -> dict[str, float]:
    """Errors of the density's count on whole images at their own size."""
    network.eval()
    predicted = [
        float(predict(network, read_image(sample.path), precision).density.double().sum())
        for sample in samples
    ]
    return count_metrics(predicted, [float(len(sample.points)) for sample in samples])


def autocast(precision: str) -> AbstractContextManager[object]:
    """bfloat16 inside the network where asked for; losses stay in float32."""
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
