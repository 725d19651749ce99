"""The way of frames through a GPU: one upload, one stream, one small download."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.result import Timings
from edgecount.runtime.frames.picture import Picture
from edgecount.runtime.pipeline.gpu_plan import Setups
from edgecount.runtime.pipeline.lanes import Counted, HostLane, Lane
from edgecount.runtime.pipeline.postprocess import (
    MapGrid,
    RegionMasks,
    check_outputs,
    count_options,
    explained,
    read_counts,
)
from edgecount.runtime.pipeline.upload import Staged, Staging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest
    from edgecount.runtime.backends.device import Bound, DeviceBackend
    from edgecount.runtime.pipeline.gpu_plan import Setup
    from edgecount.runtime.pipeline.preprocess import InputPlan

__all__ = ["DeviceLane"]

_log = logging.getLogger(__name__)


class DeviceLane(Lane):
    """Preprocessing, engine and counting in one stream of a GPU.

    Frames of the host are copied to pinned memory, and from there in the background; what is done
    with a frame waits for nothing on the host until its counts are collected. From the second run
    of an input's shape on, the engine runs from a CUDA graph, as long as its tensors stay.

    Frames past 2048 x 2048 pixels, which run in tiles, go by way of the host.

    Args:
        backend: the engine.
        host: counts frames in tiles.
        manifest: the model's manifest.
        threshold: a peak is above it.
        capacity: most points of a frame; 0: all.

    Raises:
        BackendError: the GPU has no memory left.
    """

    def __init__(
        self,
        backend: DeviceBackend,
        host: HostLane,
        manifest: Manifest,
        threshold: float,
        capacity: int,
    ) -> None:
        self._backend, self._host, self._manifest = backend, host, manifest
        self._worker = backend.open_worker()
        self._stream = self._worker.stream
        try:
            self._marks = [_ext.Event(backend.device_index, timing=True) for _ in range(4)]
        except RuntimeError as error:
            self._worker.close()
            raise BackendError(f"{backend.name}: {error}") from error
        options = count_options(manifest, threshold, capacity)
        self._setups = Setups(manifest, options, backend.device_index)
        self._staging = Staging(backend.device_index)
        # A record goes with the tensors it was made of: the worker decides how many it keeps.
        self._graphs: WeakKeyDictionary[Bound, _Graph] = WeakKeyDictionary()
        self._pending: _Pending | None = None

    def submit(self, pictures: Sequence[Picture], plan: InputPlan, masks: RegionMasks) -> None:
        """Put the work for some pictures of one size and kind into the stream."""
        try:
            for picture in pictures:
                if picture.ready is not None:
                    self._stream.wait(picture.ready)
            if plan.tiles:
                self._host.submit([self._fetch(picture) for picture in pictures], plan, masks)
                return
            batch = self._batch_for(len(pictures))
            bound = self._worker.bind((batch, 3, *plan.padded))
            check_outputs(bound.outputs, self._manifest, *plan.padded, batch)
            nv12 = pictures[0].chroma is not None
            setup = self._setups.find(plan, masks, bound, nv12=nv12)
            # Before the clock starts: the GPU is not needed for it.
            staged = self._staging.stage(pictures)
            self._enqueue(setup, bound, staged)
        except RuntimeError as error:
            raise BackendError(f"{self._backend.name}: {error}") from error
        # The pictures are kept until the work that reads them is done.
        self._pending = _Pending(setup.grid, setup.counters[batch], masks, pictures)

    def collect(self) -> list[Counted]:
        """Wait for the counts."""
        if self._pending is None:
            return self._host.collect()
        (grid, counter, masks, pictures), self._pending = self._pending, None
        try:
            self._marks[3].synchronize()
            with explained(self._manifest):
                found = counter.read(self._stream)
        except RuntimeError as error:
            raise BackendError(f"{self._backend.name}: {error}") from error
        timings = self._timings(len(pictures))
        counted = []
        for index in range(len(pictures)):
            people = counter.density_of(index)
            own = np.zeros((0, 0), np.float32) if people is None else people
            counts = read_counts(found, index, own, grid, masks)
            counted.append(Counted(counts, Timings(**timings)))
        return counted

    def settle(self) -> None:
        """Wait for the stream, and forget what was submitted."""
        self._host.settle()
        try:
            self._stream.synchronize()
        except RuntimeError as error:
            raise BackendError(f"{self._backend.name}: {error}") from error
        self._pending = None

    def close(self) -> None:
        """Free the buffers and the stream."""
        with suppress(BackendError):  # of a GPU that failed: nothing is left to wait for
            self.settle()
        self._pending = None
        self._graphs.clear()
        self._setups.clear()
        self._staging.close()
        self._worker.close()

    def _batch_for(self, pictures: int) -> int:
        """How many images a run gets: a power of two if the engine takes it.

        Cameras that are late make rounds of every size; so a few shapes do for all of them.
        """
        least, most = self._backend.batches
        power = 1 << (pictures - 1).bit_length()
        return max(pictures, least, min(power, most))

    def _enqueue(self, setup: Setup, bound: Bound, staged: Staged) -> None:
        begun, prepared, inferred, counted = self._marks
        begun.record(self._stream)
        # Where there are fewer pictures than a run takes it sees the last one again: what its
        # tensor held before may not even be numbers.
        images = staged.upload(self._stream)
        images += images[-1:] * (bound.input.shape[0] - len(images))
        for index, image in enumerate(images):
            setup.preprocessor.enqueue(
                image.pixels,  # type: ignore[arg-type]
                bound.input[index],
                self._stream,
                chroma=image.chroma,  # type: ignore[arg-type]
            )
        prepared.record(self._stream)
        self._infer(bound)
        inferred.record(self._stream)
        maps = {
            output.role: bound.outputs[output.name][setup.grid.crop(output)]
            for output in self._manifest.outputs
        }
        heatmap, density = maps.get("heatmap"), maps.get("density")
        setup.counters[len(images)].enqueue(
            None if heatmap is None else heatmap[:, 0],
            maps.get("offset"),
            None if density is None else density[:, 0],
            self._stream,
        )
        counted.record(self._stream)

    def _infer(self, bound: Bound) -> None:
        """Run the engine: as it is for the first time, then recorded, then from the record."""
        graph = self._graphs.get(bound)
        if graph is None:
            self._worker.enqueue()
            self._graphs[bound] = _Graph()
            return
        if not graph.tried and self._worker.capturable:
            graph.tried = True
            graph.recorded = self._record()
        if graph.recorded is None:
            self._worker.enqueue()
        else:
            graph.recorded.launch(self._stream)

    def _record(self) -> _ext.Graph | None:
        """The engine's work for the bound shape; None where it cannot be recorded."""
        reasons = []
        graph = None
        self._stream.begin_capture()
        try:
            self._worker.enqueue()
        except (BackendError, RuntimeError) as error:
            reasons.append(error)
        try:
            graph = self._stream.end_capture()  # also of what failed, or the stream stays shut
        except RuntimeError as error:
            reasons.append(error)
        if reasons:
            _log.info("%s runs without a CUDA graph: %s", self._backend.name, reasons[0])
            return None
        return graph

    def _fetch(self, picture: Picture) -> Picture:
        """A copy in the host's memory."""
        if picture.on_host:
            return picture
        planes: list[NDArray[np.uint8]] = []
        found: tuple[Any, ...] = picture.pixels, picture.chroma
        for plane in found:
            if plane is None:
                continue
            rows = np.empty(plane.shape, np.uint8)
            if plane.strides == rows.strides:
                self._stream.download(plane, rows)
            else:
                for y in range(plane.shape[0]):
                    self._stream.download(plane[y], rows[y])
            planes.append(rows)
        self._stream.synchronize()
        return Picture(planes[0], planes[1] if len(planes) > 1 else None)

    def _timings(self, frames: int) -> Timings:
        """Of one of the frames that went through together: its share."""
        steps = zip(self._marks, self._marks[1:], strict=False)
        preprocess, infer, postprocess = (a.elapsed_ms(b) / frames for a, b in steps)
        return Timings(preprocess=preprocess, infer=infer, postprocess=postprocess)


class _Pending(NamedTuple):
    """What was submitted and not yet collected."""

    grid: MapGrid
    counter: _ext.MapCounter
    masks: RegionMasks
    pictures: Sequence[Picture]


@dataclass
class _Graph:
    """The engine's work on bound tensors, recorded or yet to be."""

    tried: bool = False
    recorded: _ext.Graph | None = None
