"""A backend that waits at a gate; in a module of its own, which Ray's actors can import."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from numpy.typing import NDArray

from edgecount import FakeBackend

PATIENCE = 120.0  # s
_PERIOD = 0.02  # s


class GatedBackend(FakeBackend):
    """A backend that counts some frames, and further ones when the gate is open.

    Args:
        folder: where each process leaves a file when it waits, named by its number and by the node
            it runs on; the gate is open when the file `open` is there.
        free: frames that a process counts before it waits.
    """

    def __init__(self, folder: Path, free: int) -> None:
        super().__init__([(8, 8)])
        self._folder, self._free = folder, free

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self.calls >= self._free and not (self._folder / "open").exists():
            node = ray.get_runtime_context().get_node_id()
            (self._folder / f"{os.getpid()}.{node}").touch()
            wait_for((self._folder / "open").exists)
        return super().infer(inputs)


def wait_for(condition: Any) -> Any:
    """Return what a condition gives as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError("a condition of the test did not become true")
        time.sleep(_PERIOD)
    return value
