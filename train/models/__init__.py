"""The networks, by name; each answers the contract of :class:`edgecount.train.models.base`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount._typed import build
from edgecount.errors import ConfigError

if TYPE_CHECKING:  # PyTorch, which names of networks and weights do without
    from edgecount.train.models.base import Network

# module and class, so that one network does not import them all; other defaults of its options
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "edgecount-s": ("edge", "EdgeNet", {}),
    "edgecount-n": ("edge", "EdgeNet", {"width": 0.5, "channels": 48, "fine_channels": 24}),
    "edgecount-m": ("edge", "EdgeNet", {"width": 1.4, "channels": 112, "fine_channels": 48}),
    "hsrnet": ("hsrnet", "HSRNet", {}),
    "centernet": ("centernet", "CenterNet", {}),
    "centernet-light": (
        "centernet",
        "CenterNet",
        {"backbone": "mobilenet_v2", "head_channels": 64},
    ),
    "cfanet": ("cfanet", "CFANet", {}),
    "raznet": ("raznet", "RAZNet", {}),
    "csrnet": ("csrnet", "CSRNet", {}),
    "cannet": ("can", "CANNet", {}),
    "mcnn": ("mcnn", "MCNN", {}),
    "fcos": ("detection.fcos", "FCOS", {}),
    "foveabox": ("detection.foveabox", "FoveaBox", {}),
    "retinanet": ("detection.retinanet", "RetinaNet", {}),
    "yolov5": ("detection.yolov5", "YOLOv5", {}),
}


def build_model(name: str, options: Mapping[str, Any] | None = None) -> Network:
    """Return a network with random weights.

    Args:
        name: a key of :data:`MODELS`.
        options: keywords of its class.

    Raises:
        ConfigError: the name or an option is unknown.
    """
    if name not in MODELS:
        raise ConfigError(f"model: expected one of {', '.join(sorted(MODELS))}, got {name!r}")
    module, kind, defaults = MODELS[name]
    found = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    try:
        network: Network = build(found, {**defaults, **(options or {})}, "model")
    except (ArithmeticError, RuntimeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"model: {name} cannot be built with {options}: {error}") from error
    return network
