"""From a frame to the maps of an engine, at once or tile by tile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.runtime.backends.device import DeviceBackend
from edgecount.runtime.pipeline.postprocess import check_outputs
from edgecount.runtime.pipeline.preprocess import InputPlan, write_input
from edgecount.runtime.pipeline.tiling import Tile, stitch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.frames.picture import Picture
    from edgecount.runtime.pipeline.timer import Clock

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

    def run(self, picture: Picture, plan: InputPlan, clock: Clock) -> dict[str, NDArray[Any]]:
        """The maps of a frame by output name: (1, C, h, w) of the whole padded plane.

        Args:
            picture: in the host's memory.
            plan: how it is sized.
            clock: is told how long each step took.

        Raises:
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        if plan.tiles:
            return self._run_tiles(picture, plan, clock)
        tensor = self._scratch.take("input", plan.padded)
        self._write(picture, plan, tensor)
        clock.lap("preprocess")
        return self._infer(tensor, clock)

    def _write(self, picture: Picture, plan: InputPlan, out: NDArray[np.float32]) -> None:
        spec = self._manifest.input
        write_input(picture.pixels, plan.resized, spec, out, picture.chroma)  # type: ignore[arg-type]

    def _run_tiles(
        self, picture: Picture, plan: InputPlan, clock: Clock
    ) -> dict[str, NDArray[Any]]:
        plane = None
        if not plan.is_native or picture.chroma is not None:
            plane = self._scratch.take("plane", plan.padded)
            self._write(picture, plan, plane)

        def infer(tile: Tile) -> dict[str, NDArray[Any]]:
            top, left, height, width = tile.window
            tensor = self._scratch.take("input", (height, width))
            if plane is not None:
                tensor[...] = plane[:, :, top : top + height, left : left + width]
            else:
                part: Any = picture.pixels[top : top + height, left : left + width]
                write_input(part, part.shape[:2], self._manifest.input, tensor)
            clock.lap("preprocess")
            return self._infer(tensor, clock)

        maps = stitch(plan.tiles, plan.padded, self._manifest.outputs, infer)
        clock.lap("postprocess")
        return maps

    def _infer(self, tensor: NDArray[np.float32], clock: Clock) -> dict[str, NDArray[Any]]:
        # An engine of a fixed batch is given the same image several times.
        batch = self._backend.batches[0] if isinstance(self._backend, DeviceBackend) else 1
        feed = tensor if batch == 1 else np.repeat(tensor, batch, axis=0)
        outputs = self._backend.infer({self._manifest.input.name: feed})
        clock.lap("infer")
        height, width = tensor.shape[2:]
        check_outputs(outputs, self._manifest, height, width, batch)
        return outputs if batch == 1 else {name: maps[:1] for name, maps in outputs.items()}


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
