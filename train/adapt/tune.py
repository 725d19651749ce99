"""The trainings of an adaptation, and the mean of their networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edgecount.train.config import DataConfig, NamedOptions, PhotometricAugmentation, TrainConfig
from edgecount.train.data.mixture import Mixture, MixtureComponent
from edgecount.train.data.sample import Sample
from edgecount.train.data.scenes import render_samples
from edgecount.train.devices import open_fabric
from edgecount.train.engine import train_steps
from edgecount.train.learner import make_learner
from edgecount.train.models.base import Network
from edgecount.train.objectives import build_objective
from edgecount.train.schedules import learning_rate

# Rendered scenes keep what the source model knows of other places and densities; much more of them
# would take crops away from the camera.
SCENES, SCENES_SHARE = 24, 0.25
# The share of the crops that come from pictures without people: as many as there are pictures, but
# a few of them have to be seen, and many must not crowd out the people.
EMPTY_SHARES = 0.15, 0.3
_REPORTED = 10  # steps between two reports of progress


@dataclass(frozen=True)
class Pictures:
    """Training images by kind: of the camera, of the camera without people, rendered."""

    occupied: Sequence[Sample]
    empty: Sequence[Sample]
    rendered: Sequence[Sample]


def training_scenes(folder: Path, seed: int) -> list[Sample]:
    """Render the scenes that are mixed into the training."""
    return render_samples(folder, SCENES, seed)


def tuning_config(
    name: str, objective: NamedOptions, steps: int, rate: float, freeze: tuple[str, ...] = ()
) -> TrainConfig:
    """Return the settings of one training.

    Args:
        name: the network's.
        objective: the source model's.
        steps: optimiser steps.
        rate: the peak learning rate.
        freeze: how the names begin of weights that stay as they are.
    """
    return TrainConfig(
        model=NamedOptions(name),
        objective=objective,
        data=(DataConfig("given"),),
        crop=(256, 256),
        batch_size=4,
        steps=steps,
        learning_rate=rate,
        warmup=min(20, steps // 5),
        weight_decay=1e-4,
        freeze=freeze,
        # the last twentieth to third of the training
        ema=0.98 if steps > 150 else 0.95,
        photometric=PhotometricAugmentation(),
    )


def components(pictures: Pictures) -> list[MixtureComponent]:
    """Return the mixture of crops.

    The camera's come at 0.8 to 1.25 times their size, because its own images already show its
    people at its sizes, and half of them pixel for pixel, as they are counted.
    """
    occupied, empty = len(pictures.occupied), len(pictures.empty)
    least, most = EMPTY_SHARES
    nobody = min(max(empty / (occupied + empty), least), most) if empty else 0.0
    own = 1 - SCENES_SHARE
    scale, native = (0.8, 1.25), 0.5
    mixed = [
        MixtureComponent(pictures.occupied, own * (1 - nobody), scale, native=native),
        MixtureComponent(pictures.rendered, SCENES_SHARE, (0.7, 1.4), native=native),
    ]
    if empty:
        mixed.append(MixtureComponent(pictures.empty, own * nobody, scale, native=native))
    return mixed


def fine_tune(
    network: Network,
    config: TrainConfig,
    pictures: Pictures,
    progress: Callable[[int], None] | None = None,
    *,
    mixture: Sequence[MixtureComponent] | None = None,
) -> Network:
    """Return a fine-tuned copy of a network, with averaged weights, in evaluation mode.

    Args:
        network: the source, without batch norms; it stays as it is.
        config: the training.
        pictures: what to train on.
        progress: called with the number of steps just done.
        mixture: of the crops; None: :func:`components` of the pictures.
    """
    network = copy.deepcopy(network).train()
    torch.manual_seed(config.seed)
    fabric = open_fabric("auto", config.precision)
    objective = build_objective(config.objective.name, config.objective.options, network)
    objective.prepare(pictures.occupied)
    learner = make_learner(network, objective, config, fabric)
    crops = Mixture(mixture or components(pictures), config, objective.targets, network.input)
    while learner.step < config.steps:
        first = learner.step
        last = min(first + _REPORTED, config.steps)
        train_steps(learner, crops.batches(first, last), config, lambda s: learning_rate(s, config))
        if progress:
            progress(last - first)
    averaged = learner.averaged.module
    assert isinstance(averaged, Network)
    return averaged.cpu().eval()


def mean_of(networks: Sequence[Network]) -> Network:
    """Return the network of the mean weights of networks that started from the same ones.

    Fine-tuned from one start they lie in one basin, where the mean counts as well as all of them
    together (Wortsman et al., "Model soups", ICML 2022).
    """
    mean = copy.deepcopy(networks[0])
    states = [network.state_dict() for network in networks]
    mean.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0)
            if value.is_floating_point()
            else value
            for name, value in states[0].items()
        }
    )
    return mean.eval()
