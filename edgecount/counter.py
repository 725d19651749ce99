"""EdgeCounter: the one object that most programs need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from edgecount._options import (
    MAX_PIXELS,
    MODEL_DEFAULT,
    check_capacity,
    check_max_pixels,
    check_max_side,
    check_threshold,
    check_timeout,
)
from edgecount.errors import ConfigError, EdgeCountError, InputError, SourceError
from edgecount.manifest import Manifest
from edgecount.models import DEFAULT_MODEL
from edgecount.regions import Region, RegionsLike, read_regions
from edgecount.result import CountResult
from edgecount.runtime.backends import Backend, DeviceBackend
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.job import CountSettings, FrameJob
from edgecount.runtime.pipeline.pipelines import GpuPipeline, HostPipeline
from edgecount.runtime.pipeline.postprocess import RegionMasks
from edgecount.runtime.sources import Frame, Source, open_sources
from edgecount.runtime.sources.urls import shown_url, stream_name

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.models.engines import Rebuild
    from edgecount.runtime.pipeline.pipelines import Pipeline
    from edgecount.runtime.sources.open import SourceLike

__all__ = ["EdgeCounter"]

_FRAME = "Frame(image, source, index, time) of edgecount"


class EdgeCounter:
    """A counter of people in frames. Several threads may call its methods at once.

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
        accept_damaged: count damaged and truncated files as far as they can be decoded, with a
            warning in the log, in place of an error.
        max_pixels: most pixels of an image file; larger ones are refused before they are decoded.
        rebuild: a TensorRT engine that does not fit this machine (another GPU, TensorRT was
            updated) is built again, which takes minutes, if the ONNX file that it was built from
            lies beside it; engine and sidecar are replaced. A function in place of True does the
            building (`edgecount.runtime.models.engines.Rebuild`).

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
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
        rebuild: bool | Rebuild = False,
    ) -> None:
        masks = RegionMasks(read_regions(regions))
        found = open_model(model)
        threshold = check_threshold(threshold, found.manifest)
        side = check_max_side(max_side, found.manifest)
        capacity = check_capacity(capacity)
        self._reading: dict[str, Any] = {
            "accept_damaged": bool(accept_damaged),
            "max_pixels": check_max_pixels(max_pixels),
        }
        self._owns_backend = not isinstance(backend, Backend)
        opened = open_backend(found, backend, threads=threads, rebuild=_rebuilder(rebuild))
        self._backend, manifest = opened.backend, opened.model.manifest
        on_gpu = self._backend if isinstance(self._backend, DeviceBackend) else None
        self._settings = CountSettings(
            self._backend,
            manifest,
            threshold,
            capacity,
            side,
            limits=None if on_gpu is None else on_gpu.sizes,
            masks=masks,
            refine=self.refine,
        )
        self._intake = FrameIntake(None if on_gpu is None else on_gpu.device_index)
        self._pipeline: Pipeline[Any]
        if on_gpu is None:
            self._pipeline = HostPipeline(self._backend, self._settings)
        else:
            self._pipeline = GpuPipeline(on_gpu, self._settings)

    @property
    def manifest(self) -> Manifest:
        """The model's manifest: how it is fed, and what its maps mean."""
        return self._settings.manifest

    @property
    def backend(self) -> Backend:
        """The engine in use."""
        return self._backend

    @property
    def max_side(self) -> int | None:
        """Longest side in pixels that a frame keeps; longer ones are shrunk. None: any."""
        return self._settings.max_side

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions; set a mapping or a sequence of `Region` to change them between frames."""
        return self._settings.masks.regions

    @regions.setter
    def regions(self, regions: RegionsLike | None) -> None:
        self._settings.masks = RegionMasks(read_regions(regions))

    def count(self, frame: Any) -> CountResult:
        """Count the people in one frame.

        Args:
            frame: uint8 (H, W, 3) BGR of any size from 1 x 1 (grey, BGRA, 16-bit and bool
                arrays are converted), a PIL image, an `NV12Frame`, or the path of an image file.
                With an engine on a GPU also an array there, uint8 (H, W, 3) BGR with
                ``__dlpack__`` or ``__cuda_array_interface__``, of CuPy, torch, Numba or PyCUDA: it
                is not copied, and counted after the work that its library has queued for it.

        Raises:
            InputError: the frame cannot be counted; SourceError: its file cannot be read.
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        self._pipeline.check_open()  # first: a closed counter reads no file
        return self._pipeline.count(self._job(frame))

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
        return self._pipeline.count_batch(self._job(frame) for frame in frames)

    def stream(self, source: SourceLike) -> Iterator[CountResult]:
        """Count frame after frame of a source; see `edgecount.open_sources`.

        With an engine on a GPU the source is read ahead by a thread, a few frames at most, and the
        next frame is on its way to the GPU while one is counted.

        Args:
            source: an image, a folder, a glob, a video, a stream's URL or a camera's number.

        Raises:
            SourceError: the source cannot be opened, or stops before its end.
            BackendError: see `count`; or the counter was closed.
        """
        for _, result in self.count_frames(self._opened(source)):
            yield result

    def count_frames(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames of a source of one's own, each with its result, in order; see `stream`.

        Args:
            frames: such as those of an `edgecount.Source`. On a GPU they are read by a thread of
                their own.

        Raises:
            InputError: a frame cannot be counted, or is no `edgecount.Frame`.
            BackendError: see `count`; or the counter was closed.
        """
        if not isinstance(frames, Iterable):
            raise InputError(f"count_frames: expected several {_FRAME}, got {_kind(frames)}")
        return self._pipeline.count_stream(frames, self._job_of)

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
            got = repr(given) if one else _kind(given)
            raise ConfigError(
                f"stream_many: expected a list of sources, got {got}: use stream() for one"
            )
        check_timeout(timeout)
        opened = (
            self._opened_late(source) if on_error else self._opened(source) for source in sources
        )
        return self._pipeline.count_sources(opened, self._job_of, timeout, on_error)

    def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
        """Return the result that callers get of a frame; by default the one that is given.

        A subclass may look at the frame again and return another one. Every method that counts
        calls this once per frame, perhaps from several threads at once.

        Args:
            frame: the frame: ``pixels`` is uint8 (H, W, 3) BGR or, of an `NV12Frame`, (H, W) luma
                with ``chroma`` beside it; with an engine on a GPU it may lie there.
            result: the counts of the engine's maps.
        """
        del frame
        return result

    def close(self) -> None:
        """Free the engine, unless the caller brought it.

        Frames that are being counted are counted first, and the engine is freed after the last of
        them; streams then end with a `BackendError`. Calling it twice is fine.
        """
        self._pipeline.close(self._backend.close if self._owns_backend else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _job(self, frame: Any) -> FrameJob:
        if isinstance(frame, (str, os.PathLike)):
            _refuse_url(frame)
            return self._job_of(Frame(read_image(frame, **self._reading), str(frame), 0, 0.0))
        return FrameJob(self._intake.take(frame))

    def _job_of(self, frame: Frame) -> FrameJob:
        if not all(hasattr(frame, name) for name in ("image", "source", "index")):
            raise InputError(
                f"count_frames: expected {_FRAME}, got {_kind(frame)}: for bare images use "
                "count_batch()"
            )
        return FrameJob(self._intake.take(frame.image), frame)

    def _opened(self, source: SourceLike) -> Iterator[Frame]:
        return _frames_of(open_sources(source, **self._reading))

    def _opened_late(self, source: SourceLike) -> Iterator[Frame]:
        """Open a source at its first frame: one that is not there is an error of it alone."""
        yield from self._opened(source)


def _rebuilder(rebuild: bool | Rebuild) -> Rebuild | None:
    if callable(rebuild):
        return rebuild
    if not rebuild:
        return None
    from edgecount._rebuild import rebuild_engine

    return rebuild_engine


def _refuse_url(path: str | os.PathLike[str]) -> None:
    """Refuse an address, which would be taken for a path, and shown with its password."""
    text = os.fsdecode(path)
    if ("://" in text or shown_url(text) != text) and not os.path.lexists(text):
        raise SourceError(
            f"expected an image file, got {stream_name(text)}: addresses are for stream()"
        )


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _is_one_frame(frames: Any) -> bool:
    several = isinstance(frames, Iterable) and not isinstance(frames, str)
    return not several or len(getattr(frames, "shape", "BHWC")) < 4


def _frames_of(sources: Iterable[Source]) -> Iterator[Frame]:
    for source in sources:
        with _errors_of(source):
            yield from source.frames()


@contextmanager
def _errors_of(source: Source) -> Iterator[None]:
    """Make what a codec raises, or memory that ends, an error that names the source."""
    try:
        yield
    except EdgeCountError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise SourceError(f"{source.name}: {reason}") from error
