"""From a frame to the maps of an engine, at once or tile by tile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.runtime.postprocess import check_outputs
from edgecount.runtime.preprocess import InputPlan, write_input
from edgecount.runtime.tiling import Tile, stitch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest
    from edgecount.runtime.backend import Backend
    from edgecount.runtime.clock import Clock

__all__ = ["MapRunner"]


class MapRunner:
    """Feeds frames to an engine. `run` may be called from several threads at once.

    Args:
        backend: the engine.
        manifest: its model's manifest.
    """

    def __init__(self, backend: Backend, manifest: Manifest) -> None:
        self._backend = backend
        self._manifest = manifest
        self._scratch = _Scratch()

    def run(
        self, image: NDArray[np.uint8], plan: InputPlan, clock: Clock
    ) -> dict[str, NDArray[Any]]:
        """The maps of a frame by output name: (1, C, h, w) of the whole padded plane.

        Args:
            image: uint8 (H, W, 3), BGR.
            plan: how it is sized.
            clock: is told how long each step took.

        Raises:
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        if plan.tiles:
            return self._run_tiles(image, plan, clock)
        return self._run_once(image, plan, clock)

    def _run_once(
        self, image: NDArray[np.uint8], plan: InputPlan, clock: Clock
    ) -> dict[str, NDArray[Any]]:
        tensor = self._scratch.take("input", plan.padded)
        write_input(image, plan.resized, self._manifest.input, tensor)
        clock.lap("preprocess")
        return self._infer(tensor, clock)

    def _run_tiles(
        self, image: NDArray[np.uint8], plan: InputPlan, clock: Clock
    ) -> dict[str, NDArray[Any]]:
        spec = self._manifest.input
        plane = None
        if not plan.is_native:
            plane = self._scratch.take("plane", plan.padded)
            write_input(image, plan.resized, spec, plane)

        def infer(tile: Tile) -> dict[str, NDArray[Any]]:
            top, left, height, width = tile.window
            tensor = self._scratch.take("input", (height, width))
            if plane is not None:
                tensor[...] = plane[:, :, top : top + height, left : left + width]
            else:
                part = image[top : top + height, left : left + width]
                write_input(part, part.shape[:2], spec, tensor)
            clock.lap("preprocess")
            return self._infer(tensor, clock)

        maps = stitch(plan.tiles, plan.padded, self._manifest.outputs, infer)
        clock.lap("postprocess")
        return maps

    def _infer(self, tensor: NDArray[np.float32], clock: Clock) -> dict[str, NDArray[Any]]:
        outputs = self._backend.infer({self._manifest.input.name: tensor})
        clock.lap("infer")
        check_outputs(outputs, self._manifest, *tensor.shape[2:])
        return outputs


class _Scratch(threading.local):
    """Input tensors that are used again for the next frame, one set per thread."""

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[np.float32]] = {}

    def take(self, name: str, size: tuple[int, int]) -> NDArray[np.float32]:
        """float32 (1, 3, height, width) with any content."""
        needed = 3 * size[0] * size[1]
        flat = self._flat.get(name)
        if flat is None or flat.size < needed:
            flat = self._flat[name] = np.empty(needed, np.float32)
        return flat[:needed].reshape(1, 3, *size)
