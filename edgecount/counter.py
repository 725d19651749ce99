"""EdgeCounter: the one object that most programs need."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecount._options import (
    MODEL_DEFAULT,
    check_capacity,
    check_max_side,
    check_threshold,
    check_timeout,
)
from edgecount.errors import ConfigError, InputError, SourceError
from edgecount.manifest import Manifest
from edgecount.models import DEFAULT_MODEL
from edgecount.regions import Region, RegionsLike, read_regions
from edgecount.result import CountResult
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.device import DeviceBackend
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.frames.intake import HandOver
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.infer import MapRunner
from edgecount.runtime.pipeline.lanes import HostLane, LanePool
from edgecount.runtime.pipeline.postprocess import RegionMasks
from edgecount.runtime.pipeline.preprocess import plan_input
from edgecount.runtime.pipeline.schedule import (
    LANES,
    Job,
    Listed,
    batches,
    in_order,
    overlap,
    rounds,
)
from edgecount.runtime.sources.open import open_sources
from edgecount.runtime.sources.prefetch import ReadAhead, each

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.runtime.models.engines import Rebuild
    from edgecount.runtime.pipeline.lanes import Counted, Lane
    from edgecount.runtime.pipeline.preprocess import InputPlan
    from edgecount.runtime.sources.base import Frame, Source
    from edgecount.runtime.sources.open import SourceLike

__all__ = ["EdgeCounter"]

_log = logging.getLogger(__name__)

_READ_AHEAD = 2  # frames of a source
_FRAME = "Frame(image, source, index, time) of edgecount.runtime.sources.open"


class EdgeCounter:
    """Counts people in frames. All of its methods may be called from several threads at once.

    Args:
        model: a bundled model's name, an .onnx file, a TensorRT engine with its sidecar, or the
            folder that ``edgecount export`` wrote; or the `Manifest` of what a backend of your own
            runs.
        backend: "auto" (the best engine that works here; the log says which), "tensorrt",
            "tensorrt-rtx", "onnxruntime", "onnxruntime-cuda", "fake", or a `Backend` of your own,
            which stays yours to close.
        regions: polygons to count in as well, in source pixels: a mapping of name to points
            (N, 2) or `Region`, or a sequence of `Region`.
        threshold: score above which a head point counts, in [0, 1); None: the model's. With
            another one, or at another size than by default, results have no interval: the
            model's was not measured so.
        max_side: frames whose longer side is longer are shrunk to it, in pixels; "model": the
            model's own limit, at which heads have the sizes it was trained on; None: never shrink.
            Frames past 2048 x 2048 pixels then run in overlapping tiles.
        threads: threads of the engine on the CPU; None: one per core.
        capacity: most head points to list per frame, with `overflow` set if there are more; the
            counts include them all. None: no limit.
        rebuild: a TensorRT engine that does not fit this machine (another GPU, TensorRT was
            updated) is built again, which takes minutes, if the ONNX file that it was built from
            lies beside it; engine and sidecar are replaced. A function in place of True does the
            building (`runtime.engine_files.Rebuild`).

    Raises:
        ModelError: there is no such model, or it is damaged.
        BackendError: the engine does not work here.
        MissingExtraError: the engine's package is not installed.
        ConfigError: an option or a region makes no sense.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Manifest = DEFAULT_MODEL,
        *,
        backend: str | Backend = "auto",
        regions: RegionsLike | None = None,
        threshold: float | None = None,
        max_side: int | Literal["model"] | None = MODEL_DEFAULT,
        threads: int | None = None,
        capacity: int | None = None,
        rebuild: bool | Rebuild = False,
    ) -> None:
        self.regions = regions
        found = open_model(model)
        self._manifest = found.manifest
        self._threshold = check_threshold(threshold, self._manifest)
        self._max_side = check_max_side(max_side, self._manifest)
        self._capacity = check_capacity(capacity)
        self._owns_backend = not isinstance(backend, Backend)
        self._backend = open_backend(found, backend, threads=threads, rebuild=_rebuilder(rebuild))
        self._device = self._backend if isinstance(self._backend, DeviceBackend) else None
        self._frames = HandOver(None if self._device is None else self._device.device_index)
        self._runner = MapRunner(self._backend, self._manifest)
        self._lanes = LanePool(self._open_lane)

    @property
    def manifest(self) -> Manifest:
        """What the model expects and gives."""
        return self._manifest

    @property
    def backend(self) -> Backend:
        """The engine in use."""
        return self._backend

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions; set a mapping or a sequence of `Region` to change them between frames."""
        return self._masks.regions

    @regions.setter
    def regions(self, regions: RegionsLike | None) -> None:
        self._masks = RegionMasks(read_regions(regions))

    def count(self, frame: Any) -> CountResult:
        """Count the people in one frame.

        Args:
            frame: uint8 (H, W, 3) BGR of any size from 1 x 1 (see `runtime.images.as_bgr` for the
                other arrays that are converted), a PIL image, an `NV12Frame`, or the path of an
                image file. With an engine on a GPU also an array there, uint8 (H, W, 3) BGR with
                ``__dlpack__`` or ``__cuda_array_interface__``, of CuPy, torch, Numba or PyCUDA: it
                is not copied, and counted after the work that its library has queued for it.

        Raises:
            InputError: the frame cannot be counted; SourceError: its file cannot be read.
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        with self._lanes.lend() as lane:
            return self._submit(lane, [self._job(frame)])()[0]

    def count_batch(self, frames: Iterable[Any]) -> list[CountResult]:
        """Count several frames, which may differ in size, in order.

        On a GPU frames of one size that follow each other go through the engine together, as far as
        it takes batches, and the next ones are on their way meanwhile. On a CPU they go one by one:
        there a batch is no faster than its frames, and memory stays that of one frame.

        Raises:
            InputError: a frame cannot be counted, or it is one frame and not several.
            BackendError: see `count`.
        """
        if _is_one_frame(frames):
            raise InputError(
                "count_batch: expected several frames, got one: use count(), or put it into a list"
            )
        jobs = (self._job(frame) for frame in frames)
        if self._device is None:
            with self._lanes.lend() as lane:
                return [self._submit(lane, [job])()[0] for job in jobs]
        feed = Listed(batches(jobs, self._device.batches[1]))
        return [result for group in overlap(feed, self._lanes, self._submit) for result in group]

    def stream(self, source: SourceLike) -> Iterator[CountResult]:
        """Count frame after frame of a source; see `runtime.sources.open_sources`.

        With an engine on a GPU the source is read ahead by a thread, a few frames at most, and the
        next frame is on its way to the GPU while one is counted.

        Args:
            source: an image, a folder, a glob, a video, a stream's URL or a camera's number.

        Raises:
            SourceError: the source cannot be opened, or stops before its end.
            BackendError: see `count`; or the counter was closed.
        """
        for _, result in self.count_frames(_frames_of(open_sources(source))):
            yield result

    def count_frames(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames of a source of one's own, each with its result, in order; see `stream`.

        Args:
            frames: such as those of a `runtime.sources.Source`. On a GPU they are read by a thread
                of their own.

        Raises:
            InputError: a frame cannot be counted, or is no `runtime.sources.Frame`.
            BackendError: see `count`; or the counter was closed.
        """
        if not isinstance(frames, Iterable):
            raise InputError(f"count_frames: expected several {_FRAME}, got {_kind(frames)}")
        return self._count_frames(frames)

    def _count_frames(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, CountResult]]:
        if self._device is None:
            for frame in frames:
                with self._lanes.lend() as lane:
                    result = self._submit(lane, [self._job_of(frame)])()[0]
                yield frame, result
            return

        def submit(lane: Lane, pair: tuple[Frame, Job]) -> Callable[[], tuple[Frame, CountResult]]:
            wait = self._submit(lane, [pair[1]])
            return lambda: (pair[0], wait()[0])

        jobs = each(lambda frame: (frame, self._job_of(frame)), frames)
        with ReadAhead(jobs, _READ_AHEAD) as feed:
            yield from overlap(feed, self._lanes, submit)

    def stream_many(
        self,
        sources: Sequence[SourceLike],
        *,
        timeout: float | None = None,
        on_error: Callable[[SourceError], None] | None = None,
    ) -> Iterator[CountResult]:
        """Count several sources side by side, in rounds of a frame each.

        Every source is read ahead by a thread of its own, two frames at most. On a GPU the frames
        of a round that have one size go through the engine together. Results come round by round,
        in the order of the sources; `CountResult.source` and `frame` say whose they are. Sources
        that have ended are left out.

        Args:
            sources: each as for `stream`, such as cameras' URLs.
            timeout: seconds that a round waits for late sources once it has a frame: for cameras of
                different rates; None: for all of them.
            on_error: called with the error of a source that cannot be opened or fails, perhaps by
                another thread, while the others go on; None: the error is raised, after the results
                before it.

        Raises:
            ConfigError: an argument makes no sense.
            SourceError: a source cannot be opened, or fails.
            BackendError: see `count`; or the counter was closed.
        """
        given: object = sources
        one = isinstance(given, (str, os.PathLike, int))
        if one or not isinstance(given, Sequence):
            told = repr(given) if one else _kind(given)
            raise ConfigError(
                f"stream_many: expected a list of sources, got {told}: use stream() for one"
            )
        check_timeout(timeout)
        return self._stream_many(sources, timeout, on_error)

    def _stream_many(
        self,
        sources: Sequence[SourceLike],
        timeout: float | None,
        on_error: Callable[[SourceError], None] | None,
    ) -> Iterator[CountResult]:
        frames = (_opened_late(source) if on_error else _opened(source) for source in sources)
        with ExitStack() as stack:
            jobs = (each(self._job_of, one) for one in frames)
            readers = [stack.enter_context(ReadAhead(one, _READ_AHEAD)) for one in jobs]
            most = 1 if self._device is None else self._device.batches[1]
            feed = stack.enter_context(ReadAhead(rounds(readers, most, timeout, on_error), 1))
            lanes = 1 if self._device is None else LANES
            counted = overlap(feed, self._lanes, self._submit_round, lanes)
            yield from in_order(stack.enter_context(closing(counted)))

    def close(self) -> None:
        """Free the engine, unless the caller brought it.

        Frames that are being counted are counted first, and the engine is freed after the last of
        them; streams then end with a `BackendError`. Calling it twice is fine.
        """
        self._lanes.close(self._backend.close if self._owns_backend else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_lane(self) -> Lane:
        host = HostLane(self._runner, self._manifest, self._threshold, self._capacity)
        if self._device is None:
            return host
        from edgecount.runtime.pipeline.gpu_lane import DeviceLane

        return DeviceLane(self._device, host, self._manifest, self._threshold, self._capacity)

    def _job(self, frame: Any) -> Job:
        if isinstance(frame, (str, os.PathLike)):
            return Job(self._frames.take(read_image(Path(frame))), str(frame), 0)
        return Job(self._frames.take(frame))

    def _job_of(self, frame: Frame) -> Job:
        try:
            image, source, index = frame.image, frame.source, frame.index
        except AttributeError:
            raise InputError(
                f"count_frames: expected {_FRAME}, got {_kind(frame)}: for bare images use "
                "count_batch()"
            ) from None
        return Job(self._frames.take(image), source, index)

    def _submit_round(
        self, lane: Lane, jobs: Sequence[Job]
    ) -> Callable[[], list[tuple[Job, CountResult]]]:
        wait = self._submit(lane, jobs)
        return lambda: list(zip(jobs, wait(), strict=True))

    def _submit(self, lane: Lane, jobs: Sequence[Job]) -> Callable[[], list[CountResult]]:
        """Start to count frames of one kind; what is returned waits for the results."""
        pictures = [job.frame for job in jobs]
        size = pictures[0].size
        limits = None if self._device is None else self._device.sizes
        plan = plan_input(size, self._manifest.input, self._max_side, limits)
        if limits is not None:
            wanted = plan_input(size, self._manifest.input, self._max_side)
            _tell_of_limits(plan, wanted, limits[1])
        lane.submit(pictures, plan, self._masks)
        measured = self._counts_as_measured(plan)

        def result(job: Job, counted: Counted) -> CountResult:
            counts = counted.counts
            return CountResult(
                **vars(counts if measured else dataclasses.replace(counts, interval=None)),
                size=size,
                model=self._manifest.name,
                backend=self._backend.name,
                source=job.source,
                frame=job.index,
                timings=counted.timings,
            )

        return lambda: [result(*pair) for pair in zip(jobs, lane.collect(), strict=True)]

    def _counts_as_measured(self, plan: InputPlan) -> bool:
        """Whether a frame is counted as the model's interval was measured."""
        spec = self._manifest
        if self._threshold != spec.postprocess.threshold:
            return False
        if self._max_side == spec.input.max_side and self._device is None:
            return True
        return plan.resized == plan_input(plan.size, spec.input, spec.input.max_side).resized


def _rebuilder(rebuild: bool | Rebuild) -> Rebuild | None:
    if callable(rebuild):
        return rebuild
    if not rebuild:
        return None
    from edgecount._rebuild import rebuild_engine

    return rebuild_engine


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _is_one_frame(frames: Any) -> bool:
    several = isinstance(frames, Iterable) and not isinstance(frames, str)
    return not several or len(getattr(frames, "shape", "BHWC")) < 4


def _frames_of(sources: Iterable[Source]) -> Iterator[Frame]:
    for source in sources:
        yield from source.frames()


def _opened(source: SourceLike) -> Iterator[Frame]:
    return _frames_of(open_sources(source))


def _opened_late(source: SourceLike) -> Iterator[Frame]:
    """One that is not there is an error of its first frame, and so of this source alone."""
    yield from _opened(source)


@functools.lru_cache(maxsize=64)  # says it once
def _tell_of_limits(plan: InputPlan, wanted: InputPlan, most: tuple[int, int]) -> None:
    if plan.resized != wanted.resized:
        _log.warning(
            "frames of %d x %d pixels are counted at %d x %d, because the engine takes at most "
            "%d x %d: people far away may be lost; build it for larger frames (--input)",
            *(*plan.size, *plan.resized[::-1], *most[::-1]),
        )
