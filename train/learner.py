"""The parts of a learner from a config, and its state in a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgecount.errors import ConfigError
from edgecount.train.checkpoint import load_checkpoint, load_network
from edgecount.train.config import TrainConfig, config_to_dict
from edgecount.train.data.mixture import BatchStream
from edgecount.train.engine import Learner, System
from edgecount.train.models import build_model
from edgecount.train.models.base import Network
from edgecount.train.models.fold import fold_children
from edgecount.train.models.grow import grow_channels
from edgecount.train.models.prune import prune_channels
from edgecount.train.models.weights import (
    load_backbone,
    load_by_name,
    load_by_order,
    read_arrays,
    restore_batch_norm,
)
from edgecount.train.objectives import Objective

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_log = logging.getLogger(__name__)

_LEAST_SHARE = 0.05  # of a network's weights that a start has to have


def make_network(config: TrainConfig) -> Network:
    """Return a new network with random weights.

    Raises:
        ConfigError: the network or an option of it is unknown.
    """
    network = build_model(config.model.name, config.model.options)
    # What convolutions are fastest in, and what batches come in.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def check_crop(config: TrainConfig, network: Network, objective: Objective) -> None:
    """Check that the crops of a config fit what it trains.

    Raises:
        ConfigError: the objective needs crops of multiples of a stride, and gets others.
    """
    multiple = network.input.multiple
    if objective.any_crop:
        return
    if config.crop == "half":
        raise ConfigError(
            f"crop: expected multiples of {multiple} for {config.model.name} with the objective "
            f"{config.objective.name}, got half of each image: give height and width"
        )
    if any(side % multiple for side in config.crop):
        raise ConfigError(
            f"crop: expected multiples of {multiple} for {config.model.name}, got "
            f"{' x '.join(map(str, config.crop))}"
        )


def make_learner(
    network: Network, objective: Objective, config: TrainConfig, fabric: Fabric
) -> Learner:
    """Return a learner at step 0 for a network with the weights that it has.

    Raises:
        ConfigError: no weight has a name that is to be frozen.
    """
    _freeze(network, config.freeze)  # first: the optimiser takes what is left
    optimiser = _make_optimiser(config, network, objective)
    system, wrapped = fabric.setup(System(network, objective), optimiser)
    decay = get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]
    # Buffers too: batch norms' statistics have to fit the averaged weights.
    averaged = AveragedModel(network, multi_avg_fn=decay, use_buffers=True)
    return Learner(fabric, system, network, objective, averaged, wrapped)


def start_state(config: TrainConfig) -> dict[str, Any] | None:
    """Return the checkpoint that a new run starts from; None where it is none, or not there."""
    given = config.initial_weights or config.grow_from or config.prune_from
    path = config.weights_path(given) if given.endswith(".pt") else None
    return load_checkpoint(path) if path and path.is_file() else None


def load_initial_weights(network: Network, config: TrainConfig, mixture: BatchStream) -> None:
    """Load the weights that a config names as a start.

    Args:
        network: the network to load them into.
        config: the run.
        mixture: batches, from which backbones without batch norm statistics get theirs.

    Raises:
        ConfigError, ModelError: a file of weights does not fit.
    """
    if config.backbone_weights:
        if not network.pretrained:
            raise ConfigError(f"backbone_weights: {config.model.name} has no backbone to load")
        _load_backbone(network, config, mixture)
    if config.prune_from:
        prune_channels(load_network(config.root() / config.prune_from)[0], network)
    if config.grow_from:
        path = config.weights_path(config.grow_from)
        given = load_checkpoint(path)["ema"] if path.suffix == ".pt" else read_arrays(path)
        seeded = torch.Generator().manual_seed(config.seed)
        grow_channels(given, network, generator=seeded)
    if config.initial_weights:
        path = config.weights_path(config.initial_weights)
        load_matching(network, path, config.initial_except)


def _load_backbone(network: Network, config: TrainConfig, mixture: BatchStream) -> None:
    """Load ImageNet weights; into a network without norms with their norms folded in."""
    path = config.root() / config.backbone_weights
    backbone = network.get_submodule(network.pretrained)
    if config.model.options.get("folded"):
        options = {**config.model.options, "folded": False}
        with_norms = build_model(config.model.name, options).get_submodule(network.pretrained)
        load_backbone(with_norms, path)
        fold_children(with_norms)
        backbone.load_state_dict(with_norms.state_dict())
        return
    load_backbone(backbone, path)
    restore_batch_norm(backbone, (mixture.batch(step).images.cpu() for step in range(4)))


def load_matching(network: nn.Module, path: Path, left_out: Collection[str] = ()) -> None:
    """Take the averaged weights of a checkpoint wherever name and shape agree.

    A deployed model (.onnx) has to fit as a whole, by name. Weights of another program (.pth,
    .npz, .safetensors, .h5) have to fit as a whole, in the order of their names.

    Args:
        network: the network to load them into.
        path: the file.
        left_out: beginnings of names: such weights stay as they are.

    Raises:
        ModelError: it is not a checkpoint, or the weights do not fit.
        ConfigError: hardly anything in it fits, or no weight has a name that is to be left out.
    """
    names = list(network.state_dict())
    for prefix in left_out:
        if not any(name.startswith(prefix) for name in names):
            raise ConfigError(
                f"initial_except: expected beginnings of weights' names, such as {names[0]!r}, "
                f"got {prefix!r}, which none has"
            )
    prefixes = tuple(left_out)
    if path.suffix == ".onnx":
        load_by_name(network, path, prefixes)
        return
    if path.suffix != ".pt":
        if prefixes:
            raise ConfigError(
                "initial_except: expected a checkpoint or a deployed model as initial_weights, "
                f"got {path.name}, whose weights go by other names"
            )
        load_by_order(network, path)
        return
    own = {k: v for k, v in network.state_dict().items() if not k.startswith(prefixes)}
    given = load_checkpoint(path)["ema"]
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if _has_norms(given) != _has_norms(names):
        raise ConfigError(
            f"initial_weights: {path} has {'' if _has_norms(given) else 'no '}batch norms, and the "
            "network of the config is the other way round: set model.folded as it was trained"
        )
    # Counters of batch norms and single scales fit any network: the share of the numbers tells.
    numbers = sum(value.numel() for value in own.values())
    taken = sum(value.numel() for value in fitting.values())
    if not fitting or taken < _LEAST_SHARE * numbers:
        raise ConfigError(
            f"initial_weights: {taken:,} of the network's {numbers:,} weights are in {path}: "
            "expected a checkpoint of the same network. From one with other widths start by "
            "prune_from or grow_from"
        )
    if taken < numbers:
        _log.warning(
            "initial_weights: %s of the network's %s weights are in %s; the others start anew",
            f"{taken:,}",
            f"{numbers:,}",
            path,
        )
    network.load_state_dict(fitting, strict=False)


def _has_norms(weights: Collection[str]) -> bool:
    return any(name.endswith("running_mean") for name in weights)


def _freeze(network: Network, prefixes: tuple[str, ...]) -> None:
    for prefix in prefixes:
        found = [p for name, p in network.named_parameters() if name.startswith(prefix)]
        if not found:
            raise ConfigError(f"freeze: no weight's name starts with {prefix!r}")
        for parameter in found:
            parameter.requires_grad_(False)


def _make_optimiser(
    config: TrainConfig, network: nn.Module, objective: nn.Module
) -> torch.optim.Optimizer:
    trained = [p for p in network.parameters() if p.requires_grad]
    own = list(objective.parameters())
    # A group of their own only if asked for: checkpoints of older runs have two groups.
    apart = bool(own and config.objective_rate)
    # Decay would pull norms' scales and biases to 0, which makes no network smoother.
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {
            "params": [p for p in trained if p.ndim <= 1] + ([] if apart else own),
            "weight_decay": 0.0,
        },
    ]
    if apart:
        factor = config.objective_rate / config.learning_rate
        groups.append({"params": own, "weight_decay": 0.0, "rate_factor": factor})
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate)


def state_of(learner: Learner, config: TrainConfig) -> dict[str, Any]:
    """Return the state that a run resumes from."""
    return {
        "config": config_to_dict(config),
        "step": learner.step,
        "network": learner.network.state_dict(),
        "objective": learner.objective.state_dict(),
        "ema": learner.averaged.module.state_dict(),
        "averages": int(learner.averaged.n_averaged),
        "optimiser": learner.optimiser.state_dict(),
        "progress": (learner.best, learner.stale_validations, learner.lr_drops),
        "bn_frozen": learner.bn_frozen,
    }


def restore(learner: Learner, state: dict[str, Any]) -> None:
    """Put a learner back into the state of :func:`state_of`."""
    learner.step = state["step"]
    learner.network.load_state_dict(state["network"])
    learner.objective.load_state_dict(state["objective"])
    learner.averaged.module.load_state_dict(state["ema"])
    learner.averaged.n_averaged.fill_(state["averages"])
    learner.optimiser.load_state_dict(state["optimiser"])
    learner.best, learner.stale_validations, learner.lr_drops = state["progress"]
    # Checkpoints of older code have another name for it, or none.
    learner.bn_frozen = state.get("bn_frozen", state.get("resting", False))
