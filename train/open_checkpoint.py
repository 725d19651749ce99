"""A checkpoint as an EdgeCounter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from edgecount import EdgeCounter
from edgecount.train.checkpoint import load_network
from edgecount.train.evaluate.torch_backend import counter_for
from edgecount.train.manifest import manifest_of
from edgecount.train.unfinished import tell_what_lacks

__all__ = ["open_checkpoint"]


def open_checkpoint(path: Path, *, device: str = "auto", **options: Any) -> EdgeCounter:
    """Open a counter over a checkpoint of ``edgecount train``.

    Args:
        path: ``last.pt`` or ``best.pt``.
        device: ``cpu``, ``cuda``, or ``auto``: CUDA where it is there.
        options: EdgeCounter's, without ``backend``.

    Raises:
        ModelError: the file is missing, damaged, or does not fit the network that it names.
        ConfigError: an option makes no sense.
    """
    network, state = load_network(path)
    manifest = manifest_of(network, state)
    tell_what_lacks(path, state, manifest)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return counter_for(network, manifest, device=device, **options)
