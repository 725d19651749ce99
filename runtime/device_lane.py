"""The way of frames through a GPU: one upload, one stream, one small download."""

from __future__ import annotations

import functools
import logging
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.result import Timings
from edgecount.runtime.frames import NV12Frame, Picture, device_picture, host_picture
from edgecount.runtime.images import lies_on_gpu
from edgecount.runtime.lanes import Counted, HostLane, Lane
from edgecount.runtime.postprocess import (
    MapGrid,
    RegionMasks,
    check_outputs,
    count_options,
    explained,
    read_counts,
)
from edgecount.runtime.preprocess import black

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest, Role
    from edgecount.runtime.device_backend import Bound, DeviceBackend
    from edgecount.runtime.preprocess import InputPlan

__all__ = ["DeviceLane"]

_log = logging.getLogger(__name__)

# Sizes of frames whose buffers are kept: cameras have one, a folder of photos has many.
_KEPT = 4


class DeviceLane(Lane):
    """Preprocessing, engine and counting in one stream of a GPU.

    Frames of the host are copied to pinned memory, and from there in the background; what is done
    with a frame waits for nothing on the host until its counts are collected. From the second frame
    of a size on, the engine runs from a CUDA graph.

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
        self._options = count_options(manifest, threshold, capacity)
        self._worker = backend.open_worker()
        self._stream = self._worker.stream
        try:
            self._marks = [_ext.Event(backend.device_index, timing=True) for _ in range(4)]
        except RuntimeError as error:
            self._worker.close()
            raise BackendError(f"{backend.name}: {error}") from error
        self._setups: OrderedDict[tuple[object, ...], _Setup] = OrderedDict()
        self._graph: _Graph | None = None
        self._pending: tuple[_Setup, RegionMasks, Sequence[Picture]] | None = None

    def take(self, frame: Any) -> Picture:
        """See `Lane.take`; frames on the GPU are not copied."""
        planes = (frame.luma, frame.chroma) if isinstance(frame, NV12Frame) else (frame,)
        if any(lies_on_gpu(plane) for plane in planes):
            return device_picture(frame, self._stream)
        return host_picture(frame)

    def submit(self, pictures: Sequence[Picture], plan: InputPlan, masks: RegionMasks) -> None:
        """Put the work for some pictures of one size and kind into the stream."""
        if plan.tiles:
            self._host.submit([self._fetch(picture) for picture in pictures], plan, masks)
            return
        try:
            batch = max(len(pictures), self._backend.batches[0])
            bound = self._worker.bind((batch, 3, *plan.padded))
            check_outputs(bound.outputs, self._manifest, *plan.padded, batch)
            setup = self._prepare(pictures, plan, masks, bound)
            self._enqueue(setup, bound, pictures)
        except RuntimeError as error:
            raise BackendError(f"{self._backend.name}: {error}") from error
        # The pictures are kept until the work that reads them is done.
        self._pending = setup, masks, pictures

    def collect(self) -> list[Counted]:
        """Wait for the counts."""
        if self._pending is None:
            return self._host.collect()
        (setup, masks, pictures), self._pending = self._pending, None
        try:
            self._marks[3].synchronize()
            with explained(self._manifest):
                found = setup.counter.read(self._stream)
            people = setup.counter.density
        except RuntimeError as error:
            raise BackendError(f"{self._backend.name}: {error}") from error
        timings = self._timings(len(pictures))
        counted = []
        for index in range(len(pictures)):
            # A copy, or one frame's density would keep those of its whole batch.
            own = np.zeros((0, 0), np.float32) if people is None else people[index].copy()
            counts = read_counts(found, index, own, setup.grid, masks)
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
        self._pending = self._graph = None
        self._setups.clear()
        self._worker.close()

    def _enqueue(self, setup: _Setup, bound: Bound, pictures: Sequence[Picture]) -> None:
        begun, prepared, inferred, counted = self._marks
        staged = setup.stage(pictures)  # before the clock starts: the GPU is not needed for it
        begun.record(self._stream)
        # An engine of a fixed batch sees the last picture again where there are too few: what its
        # tensor held before may not even be numbers.
        images = setup.upload(staged, self._stream)
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
        setup.counter.enqueue(
            None if heatmap is None else heatmap[:, 0],
            maps.get("offset"),
            None if density is None else density[:, 0],
            self._stream,
        )
        counted.record(self._stream)

    def _infer(self, bound: Bound) -> None:
        """Run the engine: as it is for the first time, then recorded, then from the record."""
        # By the tensors themselves: the same shape may come to lie elsewhere.
        if self._graph is None or self._graph.bound is not bound:
            self._graph = None
            self._worker.enqueue()
            self._graph = _Graph(bound)
            return
        if not self._graph.tried and self._worker.capturable:
            self._graph.tried = True
            self._graph.recorded = self._record()
        if self._graph.recorded is None:
            self._worker.enqueue()
        else:
            self._graph.recorded.launch(self._stream)

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

    def _prepare(
        self, pictures: Sequence[Picture], plan: InputPlan, masks: RegionMasks, bound: Bound
    ) -> _Setup:
        """What pictures of this size need besides the engine's tensors."""
        grid = MapGrid(self._manifest, plan)
        coverage = grid.masks(masks)
        batch, nv12 = bound.input.shape[0], pictures[0].chroma is not None
        dtypes = {
            output.role: bound.outputs[output.name].dtype for output in self._manifest.outputs
        }
        key = plan, batch, nv12, id(coverage), bound.input.dtype, *dtypes.values()
        setup = self._setups.get(key)
        if setup is None:
            width, height = plan.size
            frame = (height * 3 // 2, width) if nv12 else (height, width, 3)
            setup = _Setup(
                grid,
                coverage,
                self._make_preprocessor(plan, bound.input.dtype, nv12=nv12),
                self._make_counter(grid, coverage, batch, dtypes),
                _Staging(batch, frame, self._backend.device_index),
            )
            self._setups[key] = setup
            if len(self._setups) > _KEPT:
                self._setups.popitem(last=False)
        self._setups.move_to_end(key)
        return setup

    def _make_preprocessor(self, plan: InputPlan, dtype: str, *, nv12: bool) -> _ext.Preprocessor:
        spec, (width, height) = self._manifest.input, plan.size
        return _ext.Preprocessor(
            height,
            width,
            *plan.padded,
            *plan.resized,
            spec.mean,
            spec.scale,
            spec.channels == "RGB",
            black(spec),
            nv12=nv12,
            dtype=dtype,
            device=self._backend.device_index,
        )

    def _make_counter(
        self,
        grid: MapGrid,
        coverage: NDArray[np.float32] | None,
        batch: int,
        dtypes: Mapping[Role, str],
    ) -> _ext.MapCounter:
        heatmap, density = grid.heatmap, grid.density
        return _ext.MapCounter(
            batch,
            None if heatmap is None else grid.cells(heatmap),
            None if density is None else grid.cells(density),
            offset="offset" in dtypes,
            masks=coverage,
            heatmap_dtype=dtypes.get("heatmap", "float32"),
            density_dtype=dtypes.get("density", "float32"),
            keep_density=density is not None,
            device=self._backend.device_index,
            **self._options,
        )

    def _fetch(self, picture: Picture) -> Picture:
        """A copy in the host's memory."""
        if picture.on_host:
            return picture
        planes = []
        found: tuple[Any, ...] = picture
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
        return Picture(*planes)

    def _timings(self, frames: int) -> Timings:
        """Of one of the frames that went through together: its share."""
        steps = zip(self._marks, self._marks[1:], strict=False)
        preprocess, infer, postprocess = (a.elapsed_ms(b) / frames for a, b in steps)
        return Timings(preprocess=preprocess, infer=infer, postprocess=postprocess)


class _Graph:
    """The engine's work on its bound tensors, recorded or yet to be."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self.tried = False
        self.recorded: _ext.Graph | None = None


class _Staging:
    """Frames of one size on their way to the GPU, uint8 (B, ...); memory is taken when needed."""

    def __init__(self, batch: int, shape: tuple[int, ...], device: int) -> None:
        self._shape = (batch, *shape)
        self._device = device

    @functools.cached_property
    def pinned(self) -> NDArray[Any]:
        """In the host's memory, for copies in the background."""
        return _ext.PinnedBuffer(math.prod(self._shape), self._device).array(self._shape, "uint8")

    @functools.cached_property
    def frames(self) -> _ext.DeviceArray:
        """On the GPU."""
        return _ext.DeviceBuffer(math.prod(self._shape), self._device).array(self._shape, "uint8")


@dataclass(frozen=True, eq=False)
class _Setup:
    """What frames of one size need."""

    grid: MapGrid
    coverage: NDArray[np.float32] | None  # keeps its id, by which a setup is found
    preprocessor: _ext.Preprocessor
    counter: _ext.MapCounter
    staging: _Staging

    def stage(self, pictures: Sequence[Picture]) -> list[Picture]:
        """The pictures of the host in pinned memory; those on the GPU as they are."""
        return [
            self._stage(picture, index) if picture.on_host else picture
            for index, picture in enumerate(pictures)
        ]

    def upload(self, staged: Sequence[Picture], stream: _ext.Stream) -> list[Picture]:
        """The staged pictures on the GPU."""
        return [
            self._upload(picture, index, stream) if picture.on_host else picture
            for index, picture in enumerate(staged)
        ]

    def _stage(self, picture: Picture, index: int) -> Picture:
        pinned = self.staging.pinned[index]
        pixels: Any = picture.pixels
        if picture.chroma is None:
            np.copyto(pinned, pixels)
            return Picture(pinned)
        height = picture.size[1]
        chroma: Any = picture.chroma
        np.copyto(pinned[:height], pixels)
        np.copyto(pinned[height:], chroma)
        return Picture(pinned[:height], pinned[height:])

    def _upload(self, picture: Picture, index: int, stream: _ext.Stream) -> Picture:
        frame = self.staging.frames[index]
        stream.upload(frame, self.staging.pinned[index])
        if picture.chroma is None:
            return Picture(frame)
        height = picture.size[1]
        return Picture(frame[:height], frame[height:])
