"""Backbone weights from a local file."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgecount.errors import ModelError

log = logging.getLogger(__name__)


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Load an ``.npz`` of arrays with torchvision's names; extra (classifier) entries are ignored.

    Raises:
        ModelError: the file is missing or unreadable, or lacks an array that the network needs.
    """
    try:
        with np.load(path) as arrays:
            state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError) as error:
        raise ModelError(f"backbone weights: cannot read {path}: {error}") from error
    own = backbone.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(
            f"backbone weights: {path} lacks {len(missing)} of {len(own)} arrays, "
            f"first {missing[0]!r}; expected torchvision's names"
        )
    backbone.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)


@torch.no_grad()
def restore_batch_norm(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Give every batch norm the statistics of its input, without changing the function.

    Weights whose batch norm was folded into the convolutions come with identity norms. Trained on
    as they are, the first step in training mode would normalise activations that the later
    layers expect as they were. So each norm takes the mean and variance that it sees on ``images``
    and a scale and shift that undo them.

    Args:
        network: in evaluation mode on return.
        images: batches (B, 3, H, W), normalised as in training.
    """
    moments: dict[nn.BatchNorm2d, list[tuple[Tensor, Tensor]]] = {}

    def observe(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        x = args[0].float()
        moments.setdefault(module, []).append((x.mean((0, 2, 3)), x.square().mean((0, 2, 3))))

    network.eval()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(observe) for norm in norms]
    try:
        for batch in images:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, seen in moments.items():
        mean = torch.stack([m for m, _ in seen]).mean(0)
        variance = torch.stack([s for _, s in seen]).mean(0) - mean.square()
        _replace_statistics(norm, mean, variance.clamp_min(1e-6))
    log.info("measured %d batch norms", len(moments))


def _replace_statistics(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    norm.bias.add_(gain * (mean - norm.running_mean))
    norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
