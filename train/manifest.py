"""The manifest of a trained network, as a deployed file of it has it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection
from typing import Any

from edgecount._typed import build
from edgecount.errors import ConfigError, ModelError
from edgecount.manifest import FusionSpec, Manifest, PostprocessSpec
from edgecount.models import list_models
from edgecount.train.checkpoint import config_of
from edgecount.train.config import TrainConfig
from edgecount.train.evaluate.density_quality import KERNELS
from edgecount.train.models.base import Network
from edgecount.train.objectives import build_objective


def manifest_of(
    network: Network,
    state: dict[str, Any],
    *,
    name: str | None = None,
    version: str | None = None,
    metrics: dict[str, Any] | None = None,
    licence: str = "",
) -> Manifest:
    """Return the manifest of a checkpoint.

    Args:
        network: network of the checkpoint.
        state: result of :func:`edgecount.train.checkpoint.load_checkpoint`.
        name: the model's name; the network's when not given, with ``-trained`` where a bundled
            model is called so: that one has other weights.
        version: the model's version; see :func:`version_of` when not given.
        metrics: validation numbers.
        licence: terms of the weights, in words.
    """
    config = config_of(state)
    roles = {str(output.role) for output in network.outputs}
    return Manifest(
        name=name or _name_of(config.model.name),
        version=version or version_of(network),
        description=_describe(roles),
        input=dataclasses.replace(network.input, max_side=config.max_side),
        outputs=network.outputs,
        postprocess=postprocess_of(state, roles, network.fusion_grid),
        training={
            "network": {"name": config.model.name, **config.model.options},
            "data": sorted(
                {entry.path or entry.reader for entry in config.data if config.trains_on(entry)}
            ),
            "steps": state["step"],
            "parameters": sum(p.numel() for p in network.parameters()),
            "metrics": metrics or {},
            **_kernels(network, config),
        },
        licence=licence,
    )


def _kernels(network: Network, config: TrainConfig) -> dict[str, Any]:
    """Return the kernels of the density maps that the network was trained on, if it was on any."""
    try:
        objective = build_objective(config.objective.name, config.objective.options, network)
    except ConfigError:
        # Options that this code has no more; the weights are as good as they were.
        return {}
    kernels = objective.kernels
    return {} if kernels is None else {KERNELS: dataclasses.asdict(kernels)}


def version_of(network: Network) -> str:
    """Return a version for weights that nobody gave one: 0.0.0 and a digest of them."""
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return f"0.0.0+{digest.hexdigest()[:8]}"


def _name_of(network: str) -> str:
    return f"{network}-trained" if network in list_models() else network


def postprocess_of(state: dict[str, Any], roles: Collection[str], grid: int = 0) -> PostprocessSpec:
    """Return what the end of a training fitted; the defaults for an unfinished run.

    Args:
        state: the checkpoint's.
        roles: the network's outputs.
        grid: of an unfinished run; see :class:`edgecount.manifest.FusionSpec`.

    Raises:
        ModelError: the checkpoint holds something else.
    """
    values = state.get("postprocess")
    if values is None:
        both = "density" in roles and "heatmap" in roles
        return PostprocessSpec(fusion=FusionSpec(grid=grid) if both else None)
    try:
        return build(PostprocessSpec, values, "postprocess")
    except ConfigError as error:
        raise ModelError(f"the checkpoint's {error}") from None


def postprocess_to_dict(spec: PostprocessSpec) -> dict[str, Any]:
    """Return plain values that :func:`postprocess_of` reads back."""
    return dataclasses.asdict(spec)


def _describe(roles: Collection[str]) -> str:
    texts = {"density": "a density map", "heatmap": "a head heatmap", "boxes": "head boxes"}
    parts = [text for role, text in texts.items() if role in roles]
    one_pass = " from one pass" if len(parts) > 1 else ""
    return f"Counts people by {' and '.join(parts)}{one_pass}."
