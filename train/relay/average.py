"""The mean of several checkpoints' weights, as one checkpoint.

Stages that start from each other's weights lie in one valley of the loss: the mean of their weights
is often better on scenes that none of them saw than each of them (Izmailov et al., UAI 2018;
Wortsman et al., ICML 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from edgecount.errors import ConfigError
from edgecount.train.checkpoint import config_of, load_checkpoint
from edgecount.train.learner import load_matching
from edgecount.train.models import build_model

_KEPT = ("config", "step", "objective", "held_out")


def average(paths: Sequence[Path], shares: Sequence[float] | None = None) -> dict[str, Any]:
    """Return a checkpoint with the mean of the averaged weights of several.

    Config and step are those of the last one. It has no threshold and no blend: those are fitted
    to the weights.

    Args:
        paths: checkpoints of one network, two or more; all but the last may be deployed models
            (.onnx) of it, such as the released one that the stages began with.
        shares: weight of each in the mean, above 0; None: the same for all.

    Raises:
        ConfigError: there are too few, their networks differ, or the shares make no sense.
        ModelError: a checkpoint cannot be read.
    """
    if len(paths) < 2:
        raise ConfigError(f"average: expected two checkpoints or more, got {len(paths)}")
    given = [1.0] * len(paths) if shares is None else list(shares)
    if len(given) != len(paths) or not all(0 < share < float("inf") for share in given):
        raise ConfigError(
            f"average: expected a share above 0 for each of {len(paths)} checkpoints, got {given}"
        )
    if paths[-1].suffix == ".onnx":
        raise ConfigError(
            "average: expected a checkpoint of edgecount train as the last, whose config and sets "
            f"are kept, got {paths[-1]}: put it before the others"
        )
    last = load_checkpoint(paths[-1])
    every = [_weights(path, last) for path in paths[:-1]] + [last["ema"]]
    for path, weights in zip(paths, every, strict=True):
        if _shapes(weights) != _shapes(last["ema"]):
            raise ConfigError(f"average: {path} has another network than {paths[-1]}")
    total = sum(given)
    mean = {
        name: _mean([weights[name] for weights in every], [share / total for share in given])
        for name in last["ema"]
    }
    kept = {name: last[name] for name in _KEPT if name in last}
    return {**kept, "ema": mean}


def _weights(path: Path, last: dict[str, Any]) -> dict[str, torch.Tensor]:
    if path.suffix != ".onnx":
        weights: dict[str, torch.Tensor] = load_checkpoint(path)["ema"]
        return weights
    model = config_of(last).model
    network = build_model(model.name, model.options)
    load_matching(network, path)
    return network.state_dict()


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _mean(tensors: list[torch.Tensor], shares: list[float]) -> torch.Tensor:
    if not tensors[-1].is_floating_point():  # the counters of batch norms
        return tensors[-1]
    mean = sum(tensor.double() * share for tensor, share in zip(tensors, shares, strict=True))
    assert isinstance(mean, torch.Tensor)
    return mean.to(tensors[-1].dtype)
