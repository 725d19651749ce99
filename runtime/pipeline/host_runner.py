"""The way of a frame through an engine that takes arrays in the host's memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgecount.result import Timings
from edgecount.runtime.pipeline.ending import ends_before_the_interpreter
from edgecount.runtime.pipeline.postprocess import (
    MapGrid,
    check_outputs,
    count_outputs,
    explained,
)
from edgecount.runtime.pipeline.preprocess import InputGeometry, enlarged_geometry, write_input
from edgecount.runtime.pipeline.runner import Runner
from edgecount.runtime.pipeline.tiling import Tile, stitch
from edgecount.runtime.pipeline.zoomed import count_points, read_maps
from edgecount.runtime.zoom.search import Zoom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.result import CountResult
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob
    from edgecount.runtime.pipeline.postprocess import Counts, RegionMasks
    from edgecount.runtime.zoom.proposals import Prediction
    from edgecount.runtime.zoom.search import Window


class HostRunner(Runner):
    """A runner for engines that take arrays in the host's memory; it reuses its input tensors.

    Where the engine takes only batches of several images, each run repeats the frame.
    """

    def __init__(self, backend: Backend, settings: CountSettings, batch: int = 1) -> None:
        self._backend, self._settings, self._batch = backend, settings, batch
        self._engine = backend  # of the frame in hand
        self._flat: dict[str, NDArray[np.float32]] = {}

    @ends_before_the_interpreter
    def count(
        self,
        job: FrameJob,
        engine: Backend | None = None,
        *,
        on_host: CheckedFrame | None = None,
    ) -> CountResult:
        """Count one frame.

        Args:
            job: the frame.
            engine: an engine other than the runner's own.
            on_host: the frame in the host's memory, where the job's lies on a GPU.
        """
        self._engine = engine or self._backend
        settings, frame = self._settings, on_host or job.frame
        masks = settings.masks  # others may be set meanwhile, for frames that are not begun yet
        geometry = settings.geometry(frame.size)
        clock = _Clock()
        run = self._run_tiles if geometry.tiles else self._run
        maps = run(frame, geometry, clock)
        counts = count_outputs(
            maps,
            settings.manifest,
            geometry,
            masks,
            threshold=settings.threshold,
            capacity=0 if settings.zoom else settings.capacity,
        )
        if settings.zoom:
            clock.lap("postprocess")
            counts = self._zoom(frame, geometry, masks, maps, counts, clock)
        clock.lap("postprocess")
        return settings.result(job, geometry, counts, clock.timings)

    def _zoom(
        self,
        frame: CheckedFrame,
        geometry: InputGeometry,
        masks: RegionMasks,
        maps: dict[str, NDArray[Any]],
        counts: Counts,
        clock: _Clock,
    ) -> Counts:
        """Return the counts with the points that dense regions show when they are enlarged."""
        settings, manifest = self._settings, self._settings.manifest

        def look(window: Window, factor: int) -> Prediction:
            part = frame.cut(*window)
            near = enlarged_geometry(geometry, part.size, factor, manifest.input, settings.limits)
            clock.lap("postprocess")
            run = self._run_tiles if near.tiles else self._run
            return read_maps(run(part, near, clock), MapGrid(manifest, near))

        grid = MapGrid(manifest, geometry)
        zoom = Zoom(
            settings.zoom,
            settings.threshold,
            manifest.postprocess.window,
            align=1 if frame.chroma is None else 2,
        )
        with explained(manifest):
            points = zoom.find(look, geometry.size, read_maps(maps, grid))
        return count_points(counts, points, grid, masks, capacity=settings.capacity)

    def _run(
        self, frame: CheckedFrame, geometry: InputGeometry, clock: _Clock
    ) -> dict[str, NDArray[Any]]:
        """Return the maps of a frame by name, (1, C, h, w) of the whole padded plane."""
        tensor = self._tensor("input", geometry.padded)
        self._write(frame, geometry.resized, tensor)
        clock.lap("preprocess")
        return self._infer(tensor, clock)

    def _run_tiles(
        self, frame: CheckedFrame, geometry: InputGeometry, clock: _Clock
    ) -> dict[str, NDArray[Any]]:
        """Return the maps of a frame by name, (1, C, h, w), put together from those of tiles."""
        plane = None
        # A frame of the network's own pixels is read tile by tile; another is resized as a whole,
        # so that no tile's edge falls between the pixels that a resized one is made of.
        if not geometry.is_native or frame.chroma is not None:
            plane = self._tensor("plane", geometry.padded)
            self._write(frame, geometry.resized, plane)

        def infer(tile: Tile) -> dict[str, NDArray[Any]]:
            top, left, height, width = tile.window
            tensor = self._tensor("input", (height, width))
            if plane is not None:
                tensor[...] = plane[:, :, top : top + height, left : left + width]
            else:
                # The last tiles reach beyond the frame: what is cut is smaller than they are.
                part = frame.cut(left, top, left + width, top + height)
                self._write(part, part.size[::-1], tensor)
            clock.lap("preprocess")
            return self._infer(tensor, clock)

        maps = stitch(geometry.tiles, geometry.padded, self._settings.manifest.outputs, infer)
        clock.lap("postprocess")
        return maps

    def _write(
        self, frame: CheckedFrame, resized: tuple[int, int], out: NDArray[np.float32]
    ) -> None:
        spec = self._settings.manifest.input
        pixels: Any = frame.pixels
        chroma: Any = frame.chroma
        write_input(pixels, resized, spec, out, chroma, frame.format)

    def _infer(self, tensor: NDArray[np.float32], clock: _Clock) -> dict[str, NDArray[Any]]:
        manifest, batch = self._settings.manifest, self._batch
        feed = tensor if batch == 1 else np.repeat(tensor, batch, axis=0)
        try:
            outputs = self._engine.infer({manifest.input.name: feed})
        except StopIteration as error:
            # It would end a loop over results without a word.
            raise RuntimeError(f"infer of {self._engine.name} raised StopIteration") from error
        clock.lap("infer")
        height, width = tensor.shape[2:]
        check_outputs(outputs, manifest, height, width, batch)
        return outputs if batch == 1 else {name: maps[:1] for name, maps in outputs.items()}

    def _tensor(self, name: str, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return float32 (1, 3, height, width) with any content; it grows and never shrinks."""
        needed = 3 * size[0] * size[1]
        flat = self._flat.get(name)
        if flat is None or flat.size < needed:
            flat = self._flat[name] = np.empty(needed, np.float32)
        return flat[:needed].reshape(1, 3, *size)


class _Clock:
    """A stopwatch that sums up the milliseconds of each step."""

    def __init__(self) -> None:
        self.timings = Timings(preprocess=0.0, infer=0.0, postprocess=0.0)
        self._last = time.perf_counter()

    def lap(self, step: Literal["preprocess", "infer", "postprocess"]) -> None:
        """Add the time since the last lap to a step."""
        now = time.perf_counter()
        self.timings[step] += 1000 * (now - self._last)
        self._last = now
