"""A checkpoint behind EdgeCounter, so that it is measured exactly as a deployed file is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray

from edgecount import EdgeCounter
from edgecount.errors import BackendError
from edgecount.manifest import Manifest
from edgecount.runtime.backends.base import Backend
from edgecount.train.models.base import Network


class TorchBackend(Backend):
    """A backend that runs a network in PyTorch.

    Args:
        network: put in evaluation mode.
        manifest: names its input and outputs.
        device: ``cpu`` or ``cuda``.
    """

    name = "torch"

    def __init__(self, network: Network, manifest: Manifest, device: str = "cpu") -> None:
        self.device = device
        self._network: Network = network.eval().to(device)
        self._manifest = manifest

    @property
    def network(self) -> Network:
        """The network that it runs."""
        return self._network

    @torch.no_grad()
    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the deployed maps; see :meth:`edgecount.runtime.backends.base.Backend.infer`."""
        image = torch.from_numpy(inputs[self._manifest.input.name]).to(self.device)
        try:
            maps = self._network.deploy(self._network(image))
        except RuntimeError as error:
            raise BackendError(f"torch: {error}") from error
        return {
            output.name: values.float().numpy(force=True)
            for output, values in zip(self._manifest.outputs, maps, strict=True)
        }

    def close(self) -> None:
        """Free nothing: the network is the caller's."""


def counter_for(
    network: Network, manifest: Manifest, *, device: str = "cpu", **options: Any
) -> EdgeCounter:
    """Open a counter over a network; ``options`` are EdgeCounter's."""
    return EdgeCounter(manifest, backend=TorchBackend(network, manifest, device), **options)
