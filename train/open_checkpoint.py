"""A checkpoint as an EdgeCounter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from edgecount import EdgeCounter
from edgecount.train.checkpoint import load_network
from edgecount.train.evaluate.torch_backend import TorchBackend, counter_for
from edgecount.train.manifest import manifest_of

__all__ = ["open_checkpoint"]


def open_checkpoint(
    path: Path, *, zoom: int = 0, device: str = "auto", **options: Any
) -> EdgeCounter:
    """Open a counter over a checkpoint of ``edgecount train``.

    Args:
        path: ``last.pt`` or ``best.pt``.
        zoom: number of times that dense regions are enlarged and searched again, 0 to 2 (RAZ-Net).
        device: ``cpu``, ``cuda``, or ``auto``: CUDA where it is there.
        options: EdgeCounter's, without ``backend``.

    Raises:
        ModelError: the file is missing, damaged, or does not fit the network that it names.
        ConfigError: it is to zoom and gives no heatmap.
    """
    network, state = load_network(path)
    manifest = manifest_of(network, state)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if zoom:
        from edgecount.train.raznet.counter import ZoomCounter

        backend = TorchBackend(network, manifest, device)
        return ZoomCounter(network, manifest, zoom, backend=backend, **options)
    return counter_for(network, manifest, device=device, **options)
