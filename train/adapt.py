"""Fine-tuning of a deployed model on a few images of one's own camera."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from edgecount.errors import ConfigError, ModelError
from edgecount.manifest import Manifest
from edgecount.runtime.models.open import open_model
from edgecount.train.checkpoint import config_of, load_network
from edgecount.train.config import DataConfig, NamedOptions, TrainConfig
from edgecount.train.data.assemble import fitted
from edgecount.train.data.mixture import Mixture, MixtureComponent
from edgecount.train.data.sample import Sample
from edgecount.train.data.splits import hold_out as draw
from edgecount.train.devices import open_fabric
from edgecount.train.engine import train_steps
from edgecount.train.evaluate.torch_backend import counter_for
from edgecount.train.learner import make_learner
from edgecount.train.manifest import manifest_of, version_of
from edgecount.train.models import build_model
from edgecount.train.models.base import Network
from edgecount.train.models.fold import fold_batch_norm
from edgecount.train.models.weights import load_by_name
from edgecount.train.objectives import build_objective
from edgecount.train.schedules import learning_rate

FEWEST = 10  # images: of fewer, the held-out part says nothing


@dataclass(frozen=True)
class Adaptation:
    """The result of fine-tuning a model.

    Attributes:
        network: the network with its averaged weights, batch norms folded.
        manifest: manifest of the adapted model.
        before: mean absolute error of the counts on the held-out images before.
        after: that error after fine-tuning.
        trained: number of images trained on.
        held_out: names of the held-out images.
    """

    network: Network
    manifest: Manifest
    before: float
    after: float
    trained: int
    held_out: tuple[str, ...]

    @property
    def better(self) -> bool:
        """True if the held-out error went down."""
        return self.after < self.before


def adapt(
    model: str | Path,
    samples: Sequence[Sample],
    *,
    steps: int = 200,
    holdout: float = 0.3,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Adaptation:
    """Fine-tune a model; nothing is written.

    Batch norms are folded into the convolutions first: a few images are too few for statistics of
    their own. Crops come at 0.8 to 1.25 times their size, because a camera's own images already
    show its people at its sizes.

    Args:
        model: a bundled name, an .onnx of ``edgecount export``, or a checkpoint.
        samples: annotated images, :data:`FEWEST` at least.
        steps: optimiser steps, of four crops each.
        holdout: share of the images that are held out to measure with.
        rate: the peak learning rate.
        seed: seed of the choice of images and of the crops.
        progress: called with the number of steps just done.

    Raises:
        ConfigError: too few images, or an option makes no sense.
        ModelError: the model's weights cannot be taken up again.
    """
    if not 0 < rate < math.inf:
        raise ConfigError(f"rate: expected a number above 0, got {rate}")
    training, held = hold_out([fitted(sample) for sample in samples], holdout, seed)
    network, manifest, objective_choice = open_trainable(model)
    before = mean_error(network, manifest, held)
    config = TrainConfig(
        model=NamedOptions(manifest.name),
        objective=objective_choice,
        data=(DataConfig("given"),),
        crop=(256, 256),
        batch_size=4,
        steps=steps,
        learning_rate=rate,
        warmup=min(20, steps // 5),
        weight_decay=1e-4,
        ema=0.98,
        seed=seed,
    )
    averaged = _fine_tune(network, config, training, progress)
    after = mean_error(averaged, manifest, held)
    names = tuple(sample.name for sample in held)
    record = {
        "images": len(training),
        "steps": steps,
        "held_out_mae": {"images": len(held), "before": round(before, 3), "after": round(after, 3)},
    }
    history = {"network": {"name": manifest.name}, **manifest.training, "adapted": record}
    # Those of before were measured with the old weights, as the interval was.
    history["metrics"] = {"held out": {"images": len(held), "mae": round(after, 3)}}
    described = dataclasses.replace(
        manifest,
        name=f"{manifest.name.removesuffix('-adapted')}-adapted",
        version=version_of(averaged),
        postprocess=dataclasses.replace(manifest.postprocess, interval=None),
        training=history,
    )
    return Adaptation(averaged, described, before, after, len(training), names)


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Split samples into those that train and those that measure.

    Raises:
        ConfigError: there are fewer than :data:`FEWEST` images, or the share makes no sense.
    """
    if not 0 < share < 1:
        raise ConfigError(f"holdout: expected a share between 0 and 1, got {share}")
    if len(samples) < FEWEST:
        raise ConfigError(
            f"adapt: expected at least {FEWEST} annotated images, got {len(samples)}: annotate "
            "more, of different hours and crowds"
        )
    number = min(max(round(len(samples) * share), 3), len(samples) - 3)
    return draw(samples, number, seed)


def open_trainable(model: str | Path) -> tuple[Network, Manifest, NamedOptions]:
    """Open a model as a network without batch norms, with its manifest and its objective.

    Raises:
        ModelError: it is none of edgecount's networks in float32.
    """
    if str(model).endswith(".pt"):
        network, state = load_network(Path(model))
        manifest = manifest_of(network, state)
        return fold_batch_norm(network), manifest, config_of(state).objective
    found = open_model(model)
    if found.sidecar is not None:
        raise ModelError(
            f"adapt: {model} is an engine, whose weights cannot be trained: expected the .onnx "
            "that it was built from, or a checkpoint; export the adapted model for a new engine"
        )
    manifest = found.manifest
    described = dict(manifest.training.get("network", {"name": manifest.name}))
    name = described.pop("name")
    if not str(name).startswith("edgecount-"):
        raise ModelError(
            f"adapt: {model} is a {name}: expected an edge model, or the checkpoint of another"
        )
    assert found.path is not None
    network = fold_batch_norm(build_model(name, described))
    load_by_name(network, found.path)
    zip_counts = {"counts": "zip"} if described.get("zero_inflated") else {}
    return network, manifest, NamedOptions("edge", zip_counts)


def _fine_tune(
    network: Network,
    config: TrainConfig,
    training: Sequence[Sample],
    progress: Callable[[int], None] | None,
) -> Network:
    torch.manual_seed(config.seed)
    fabric = open_fabric("auto", config.precision)
    objective = build_objective(config.objective.name, config.objective.options, network)
    objective.prepare(training)
    learner = make_learner(network, objective, config, fabric)
    components = [MixtureComponent(training, 1.0, (0.8, 1.25))]
    mixture = Mixture(components, config, objective.targets, network.input)
    while learner.step < config.steps:
        first = learner.step
        last = min(first + 10, config.steps)  # between two reports of progress
        train_steps(
            learner, mixture.batches(first, last), config, lambda s: learning_rate(s, config)
        )
        if progress:
            progress(last - first)
    averaged = learner.averaged.module
    assert isinstance(averaged, Network)
    return averaged.cpu().eval()


def mean_error(network: Network, manifest: Manifest, samples: Sequence[Sample]) -> float:
    """Return the mean absolute error of the counts, as the model's users will get them."""
    with counter_for(network, manifest) as counter:
        errors = [abs(counter.count(s.image()).count - len(s.points)) for s in samples]
    return sum(errors) / len(errors)
