"""Measure how much of the gradient each set of a training mixture has, by the loss of the counts.

For every set of a config: the norm of the gradient of the network's weights by one crop, as a root
mean square over crops, for several losses of the block counts and for the heatmap alone.

    EDGECOUNT_DATA=... python benchmarks/gradients.py edgecount-s-relay-6
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgecount.train.config import find_config, load_config
from edgecount.train.data.assemble import load_data
from edgecount.train.data.mixture import Batch, Mixture
from edgecount.train.learner import load_matching
from edgecount.train.models import build_model
from edgecount.train.models.base import Network
from edgecount.train.objectives import Objective, build_objective

LOSSES: dict[str, dict[str, Any]] = {
    "poisson": {"counts": "poisson"},
    "poisson, no total": {"counts": "poisson", "total_weight": 0.0},
    "negative binomial": {"counts": "negative_binomial"},
}


def norms(network: Network, objectives: Mapping[str, Objective], batch: Batch) -> dict[str, float]:
    """Return the norms of the gradients of a batch, by the name of the loss."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    terms: dict[str, torch.Tensor] = {}
    for name, objective in objectives.items():
        found = objective.losses(network(batch.images), batch.targets, 0.0)
        terms[name], terms["heatmap"] = found["blocks"], found["heatmap"]
    squares = {}
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
        squares[name] = sum(float(one.square().sum()) for one in gradients if one is not None)
    return {name: math.sqrt(square) for name, square in squares.items()}


def main() -> None:
    """Print the table of a config."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", help="of a training that starts from initial_weights")
    parser.add_argument("--crops", type=int, default=16, help="of each set")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = load_config(find_config(Path(given.config)))
    pictures = tuple(one for one in config.data if one.path and one.weight)
    config = dataclasses.replace(config, data=pictures, batch_size=1)
    network = build_model(config.model.name, config.model.options)
    load_matching(network, config.weights_path(config.initial_weights))
    objectives = {name: build_objective("edge", made, network) for name, made in LOSSES.items()}
    with tempfile.TemporaryDirectory() as folder:
        components = load_data(config, Path(folder)).components
    print("| set | people a crop |", " | ".join([*LOSSES, "heatmap"]), "|")
    print("| --- |" + " --- |" * (len(LOSSES) + 2))
    targets = next(iter(objectives.values())).targets
    for entry, component in zip(pictures, components, strict=True):
        mixture = Mixture([component], config, targets, network.input)
        batches = [mixture.batch(step) for step in range(given.crops)]
        rows = [norms(network, objectives, batch) for batch in batches]
        people = sum(float(batch.targets["counts"].sum()) for batch in batches) / given.crops
        means = [
            math.sqrt(sum(row[name] ** 2 for row in rows) / given.crops)
            for name in [*LOSSES, "heatmap"]
        ]
        print(f"| {entry.name} | {people:.0f} |", " | ".join(f"{one:.1f}" for one in means), "|")


if __name__ == "__main__":
    main()
