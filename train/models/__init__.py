"""The networks, by name. Each answers the contract of :class:`edgecount.train.models.base.Maps`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from edgecount.errors import ConfigError
from edgecount.train.models.edge import EdgeNet

MODELS: dict[str, Callable[[], nn.Module]] = {"edgecount-s": EdgeNet}


def build_model(name: str) -> nn.Module:
    """A network with random weights.

    Args:
        name: a key of :data:`MODELS`.

    Raises:
        ConfigError: the name is unknown.
    """
    if name not in MODELS:
        raise ConfigError(f"model: expected one of {', '.join(sorted(MODELS))}, got {name!r}")
    return MODELS[name]()
