"""The way of frames through a GPU: one upload, one stream, one small download."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.result import Timings
from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.pipeline.ending import ends_before_the_interpreter
from edgecount.runtime.pipeline.gpu_kernels import GpuKernelCache
from edgecount.runtime.pipeline.host_runner import HostRunner
from edgecount.runtime.pipeline.postprocess import check_outputs, explained, read_counts
from edgecount.runtime.pipeline.runner import Pending, QueueingRunner
from edgecount.runtime.pipeline.upload import StagingBuffer

if TYPE_CHECKING:
    from edgecount.result import CountResult
    from edgecount.runtime.backends.device import Bound, DeviceBackend
    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.pipeline.gpu_counters import GpuCounter
    from edgecount.runtime.pipeline.gpu_kernels import GpuKernels
    from edgecount.runtime.pipeline.job import CountSettings, FrameJob
    from edgecount.runtime.pipeline.postprocess import MapGrid, RegionMasks
    from edgecount.runtime.pipeline.upload import Copy

_log = logging.getLogger(__name__)


class GpuRunner(QueueingRunner):
    """Preprocessing, engine and counting in one stream of a GPU.

    Frames of the host are copied to pinned memory, and from there in the background; nothing waits
    on the host until the counts are asked for. From the second run of an input's shape on, the
    engine runs from a CUDA graph, as long as its tensors stay.

    Frames past 2048 x 2048 pixels, which run in tiles, and those that are zoomed into go by way of
    the host.

    Raises:
        BackendError: the GPU has no memory left.
    """

    def __init__(self, backend: DeviceBackend, settings: CountSettings) -> None:
        self._backend, self._settings = backend, settings
        self._host = HostRunner(backend, settings, batch=backend.batches[0])
        self._worker = backend.open_worker()
        self._stream = self._worker.stream
        try:
            with gpu_failures(backend.name):
                self._marks = [_ext.Event(backend.device_index, timing=True) for _ in range(4)]
        except BackendError:
            self._worker.close()
            raise
        self._kernels = GpuKernelCache(settings, backend.device_index)
        self._staging = StagingBuffer(backend.device_index)
        # A graph goes with the tensors it was recorded on: the worker decides how many it keeps.
        self._graphs: WeakKeyDictionary[Bound, _Graph] = WeakKeyDictionary()
        # Kept until the work that reads them is done, also if nobody asks for the result.
        self._submitted: Sequence[FrameJob] = ()

    @ends_before_the_interpreter
    def submit(self, jobs: Sequence[FrameJob]) -> Pending:
        """Queue the work for frames of one size and kind; see `QueueingRunner.submit`."""
        frames = [job.frame for job in jobs]
        geometry = self._settings.geometry(frames[0].size)
        masks = self._settings.masks
        by_host = bool(geometry.tiles or self._settings.zoom)
        with gpu_failures(self._backend.name):
            # The stream waits for the libraries that made the frames; this thread does not.
            for frame in frames:
                if frame.ready is not None:
                    self._stream.wait(frame.ready)
        if by_host:
            results = [self._count_on_host(job) for job in jobs]
            return lambda: results
        with gpu_failures(self._backend.name):
            batch = self._batch_for(len(frames))
            bound = self._worker.bind((batch, 3, *geometry.padded))
            check_outputs(bound.outputs, self._settings.manifest, *geometry.padded, batch)
            # Found before anything is queued: making one may fail for want of memory.
            kernels = self._kernels.find(geometry, masks, bound, pixels=frames[0].format)
            # Copied to pinned memory before the first mark, which times the GPU's part alone.
            # Pixels that keep their size are read once, those that are resized several times.
            images, copies = self._staging.stage(frames, read_once=geometry.is_native)
            self._submitted = jobs
            self._enqueue(kernels, bound, images, copies)
        return partial(self._collect, kernels.grid, kernels.counters[batch], masks, jobs)

    @ends_before_the_interpreter
    def _collect(
        self,
        grid: MapGrid,
        counter: GpuCounter,
        masks: RegionMasks,
        jobs: Sequence[FrameJob],
    ) -> list[CountResult]:
        """Wait for the counts of what was submitted last, with the regions as they were then."""
        with gpu_failures(self._backend.name):
            self._marks[3].synchronize()
            with explained(self._settings.manifest):
                found = counter.read(self._stream)
        self._submitted = ()
        timings = self._timings(len(jobs))
        results = []
        for index, job in enumerate(jobs):
            people = counter.density_of(index)
            own = np.zeros((0, 0), np.float32) if people is None else people
            counts = read_counts(found, index, own, grid, masks)
            results.append(self._settings.result(job, grid.geometry, counts, Timings(**timings)))
        return results

    def _count_on_host(self, job: FrameJob) -> CountResult:
        with gpu_failures(self._backend.name):
            frame = self._staging.download(job.frame, self._stream)
        return self._host.count(job, on_host=frame)

    def drain(self) -> None:
        """Wait for the stream, and discard what was submitted."""
        with gpu_failures(self._backend.name):
            self._stream.synchronize()
        self._submitted = ()

    def close(self) -> None:
        """Free the buffers and the stream."""
        with suppress(BackendError):  # of a GPU that failed: nothing is left to wait for
            self.drain()
        self._submitted = ()
        self._graphs.clear()
        self._kernels.clear()
        self._staging.close()
        self._worker.close()

    def _batch_for(self, frames: int) -> int:
        """Return how many images a run gets: a power of two if the engine takes it.

        Cameras that are late make rounds of every size; so a few shapes do for all of them.
        """
        smallest, largest = self._backend.batches
        power = 1 << (frames - 1).bit_length()
        return max(frames, smallest, min(power, largest))

    def _enqueue(
        self, kernels: GpuKernels, bound: Bound, images: list[CheckedFrame], copies: list[Copy]
    ) -> None:
        # Events time the steps on the GPU, where they run long after they were queued here.
        begun, prepared, inferred, counted = self._marks
        begun.record(self._stream)
        for target, pinned in copies:
            self._stream.upload(target, pinned)
        # A batch with fewer frames than images repeats the last one: what its tensor held before
        # may be NaN, which would spoil the counts of the whole batch.
        images = images + images[-1:] * (bound.input.shape[0] - len(images))
        for index, image in enumerate(images):
            kernels.preprocessor.enqueue(
                image.pixels,  # type: ignore[arg-type]
                bound.input[index],
                self._stream,
                chroma=image.chroma,  # type: ignore[arg-type]
            )
        prepared.record(self._stream)
        self._infer(bound)
        inferred.record(self._stream)
        kernels.counters[len(images)].enqueue(bound.outputs, self._stream)
        counted.record(self._stream)

    def _infer(self, bound: Bound) -> None:
        """Run the engine: as it is for the first time, then recorded, then from the record."""
        graph = self._graphs.get(bound)
        if graph is None:
            # Photos often come in sizes of their own: a graph is of use from the second run on.
            self._worker.enqueue()
            self._graphs[bound] = _Graph()
            return
        if not graph.tried and self._worker.capturable:
            # Tried once, whatever comes of it: a failure would cost time at every frame.
            graph.tried = True
            graph.recorded = self._record()
        if graph.recorded is None:
            self._worker.enqueue()
        else:
            graph.recorded.launch(self._stream)

    def _record(self) -> _ext.Graph | None:
        """Record the engine's work for the bound shape; return None where it cannot be."""
        reasons = []
        graph = None
        self._stream.begin_capture()
        try:
            self._worker.enqueue()
        except (BackendError, RuntimeError) as error:
            reasons.append(error)
        try:
            # Also after a failure: a stream that goes on capturing refuses all other work.
            graph = self._stream.end_capture()
        except RuntimeError as error:
            reasons.append(error)
        if reasons:
            _log.info("%s runs without a CUDA graph: %s", self._backend.name, reasons[0])
            return None
        return graph

    def _timings(self, frames: int) -> Timings:
        """Return each frame's share of the time of a batch."""
        steps = zip(self._marks, self._marks[1:], strict=False)
        preprocess, infer, postprocess = (a.elapsed_ms(b) / frames for a, b in steps)
        return Timings(preprocess=preprocess, infer=infer, postprocess=postprocess)


@dataclass
class _Graph:
    """The engine's work on bound tensors, recorded or yet to be.

    Attributes:
        tried: whether recording was tried.
        recorded: the graph; None: not recorded, or it cannot be.
    """

    tried: bool = False
    recorded: _ext.Graph | None = None
