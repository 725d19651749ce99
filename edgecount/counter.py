"""EdgeCounter: the one object that most programs need."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from edgecount._given import check_callback, check_frames, check_several, refuse_copies
from edgecount._jobs import Jobs
from edgecount._opening import keep_result, open_settings
from edgecount._options import (
    MAX_PIXELS,
    MODEL_DEFAULT,
    check_flag,
    check_max_pixels,
    check_workers,
)
from edgecount._stream import Watching, stream_one, stream_several
from edgecount.manifest import Manifest
from edgecount.models import DEFAULT_MODEL
from edgecount.regions import Region, RegionsLike, read_regions
from edgecount.result import CountResult
from edgecount.runtime.backends import Backend, DeviceBackend
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.pipeline.ending import ends_before_the_interpreter
from edgecount.runtime.pipeline.open import open_pipeline
from edgecount.runtime.pipeline.postprocess import RegionMasks
from edgecount.runtime.sources import Frame, Source

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgecount.errors import SourceError
    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.models.engines import Rebuild
    from edgecount.runtime.pipeline.job import Outcome
    from edgecount.runtime.sources.live import LiveOptions
    from edgecount.runtime.sources.open import SourceLike

__all__ = ["EdgeCounter"]


class EdgeCounter:
    """A counter of people in frames. Several threads may call its methods at once.

    Args:
        model: a bundled model's name, an .onnx file, a TensorRT engine with its sidecar, or the
            folder that ``edgecount export`` wrote; or the `Manifest` of what a backend of your own
            runs.
        backend: "auto" (the best engine that works here; the log says which), "tensorrt",
            "tensorrt-rtx", "onnxruntime", "onnxruntime-cuda", "openvino", "openvino-gpu",
            "openvino-npu", "fake", or a `Backend` of your own, which stays yours to close.
        regions: polygons to count in as well, in source pixels: a mapping of name to points
            (N, 2) or `Region`, or a sequence of `Region`.
        threshold: score above which a head counts, in [0, 1), of a model with a heatmap or boxes;
            None: the model's. With another one, or at another size than by default, results have no
            interval: the model's was not measured so.
        max_side: frames whose longer side is longer are shrunk to it, in pixels; "model": the
            model's own limit, at which heads have the sizes it was trained on; "native" or None:
            never shrink. Frames past 2048 x 2048 pixels then run in overlapping tiles.
        threads: threads of the engine on the CPU; None: one per core.
        precision: the kind of numbers to compute in: "auto" (a faster one than the model's where
            its counts were proven to stay, by the export or on the first use), or "float32",
            "bfloat16" or "float16", which the engine must be able to. Results carry it.
        workers: frames of batches, folders, files and clips to count at once, from 1 to 1024, with
            an engine on the CPU; None: as many as suit the engine and its memory (results are the
            same). A single frame, and cameras, have the whole engine.
        capacity: most head points to list per frame, with `overflow` set if there are more; the
            counts include them all. None: no limit.
        zoom: times that dense regions are enlarged twofold and searched again, 0 to 2, by a model
            with a heatmap (RAZ-Net). Their points replace the first pass's, and go into the counts;
            the density stays, and there is no interval. Each takes up to some ten times as long.
        density: whether results have the density map. Without it a GPU brings back the counts and
            points alone; the counts are the same, and to use `CountResult.density` is an error.
        accept_damaged: count damaged and truncated files as far as they can be decoded, with a
            warning in the log, in place of an error.
        max_pixels: most pixels of an image file; larger ones are refused before they are decoded.
        rebuild: a TensorRT engine that does not fit this machine (another GPU, TensorRT was
            updated) is built again, which takes minutes, if the ONNX file that it was built from
            lies beside it; engine and sidecar are replaced. A function in place of True does the
            building (`edgecount.runtime.models.engines.Rebuild`).
        device: number of the GPU, as CUDA counts them, on which the engine has to run; or several:
            the engine is opened on each, they share the frames of the host's memory, and frames on
            one of them are counted there. None: the first GPU, or the CPU.

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
        max_side: int | Literal["model", "native"] | None = MODEL_DEFAULT,
        threads: int | None = None,
        precision: str = "auto",
        workers: int | None = None,
        capacity: int | None = None,
        zoom: int = 0,
        density: bool = True,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
        rebuild: bool | Rebuild = False,
        device: int | Sequence[int] | None = None,
    ) -> None:
        check_workers(workers)
        reading = {
            "accept_damaged": check_flag("accept_damaged", accept_damaged),
            "max_pixels": check_max_pixels(max_pixels),
        }
        self._owns_backend = not isinstance(backend, Backend)
        self._settings = open_settings(
            model,
            backend,
            regions=regions,
            threshold=threshold,
            max_side=max_side,
            threads=threads,
            precision=precision,
            capacity=capacity,
            zoom=zoom,
            density=density,
            rebuild=rebuild,
            device=device,
            # A method of its own would keep the counter until the next garbage collection.
            refine=keep_result if type(self).refine is _REFINE else self.refine,
        )
        self._pipeline = open_pipeline(self._settings, workers)
        engines = self._settings.engines
        on_gpu = [each.device_index for each in engines if isinstance(each, DeviceBackend)]
        self._jobs = Jobs(FrameIntake(*on_gpu), reading, late=self._pipeline.takes_late)

    @property
    def manifest(self) -> Manifest:
        """The model's manifest: how it is fed, and what its maps mean."""
        return self._settings.manifest

    @property
    def backend(self) -> Backend:
        """The engine in use; with several GPUs, the one on the first of them."""
        return self._settings.backend

    @property
    def max_side(self) -> int | None:
        """Longest side in pixels that a frame keeps; longer ones are shrunk. None: any."""
        return self._settings.max_side

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions; set a mapping or a sequence of `Region` for the frames that follow."""
        return self._settings.masks.regions

    @regions.setter
    def regions(self, regions: RegionsLike | None) -> None:
        self._settings.masks = RegionMasks(read_regions(regions))

    def count(self, frame: Any) -> CountResult:
        """Count the people in one frame.

        Args:
            frame: uint8 (H, W, 3) BGR of any size from 1 x 1 (grey, BGRA, bool, and uint16, of
                which 65535 is white, are converted), a PIL image, a `PixelFrame` of another order
                of channels, an `NV12Frame`, or the path of an image file. With an engine on a GPU
                also an array there, uint8 (H, W, 3) BGR with ``__dlpack__`` or
                ``__cuda_array_interface__``, of CuPy, torch, Numba or PyCUDA, or a `PixelFrame` or
                `NV12Frame` of such: it is not copied, and counted after the work queued for it.

        Raises:
            InputError: the frame cannot be counted; SourceError: its file cannot be read.
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        self._pipeline.check_open()  # first: a closed counter reads no file
        return self._pipeline.count(self._jobs.of(frame))

    def count_batch(self, frames: Iterable[Any]) -> list[CountResult]:
        """Count several frames, which may differ in size, in order.

        On a GPU frames of one size that follow each other go through the engine together, as far as
        it takes batches, and the next ones are on their way meanwhile. On a CPU several frames are
        counted at once (`workers`), files decoded as well. An iterator is read a few frames ahead
        of that, in the caller's thread; each frame may be in the same array, unless on a GPU.

        Raises:
            InputError: a frame cannot be counted, or it is one frame and not several.
            BackendError: see `count`.
        """
        check_several("count_batch", frames)
        return self._pipeline.count_batch(self._jobs.of_several(frames))

    def count_each(
        self,
        frames: Iterable[Any],
        *,
        keep_frames: bool = False,
        until: Callable[[], bool] | None = None,
    ) -> Generator[Outcome, None, None]:
        """Count several frames as `count_batch` does, where one that fails is not to end the rest.

            for path, outcome in zip(paths, counter.count_each(paths)):
                try:
                    print(path, outcome.result().count)
                except EdgeCountError as error:
                    print(path, error)

        Args:
            frames: what `count` takes, image files as `open_sources` finds them, and functions
                that return one of these. Iterated, and called, by the thread that asks for the
                outcomes, a few frames ahead of them.
            keep_frames: whether an outcome of an image file has its frame as well.
            until: asked before each frame; once it returns True, no further one is begun, and the
                outcomes of those in hand are the last.

        Yields:
            What became of each frame, in order.

        Raises:
            InputError: it is one frame and not several.
            BackendError: the counter is closed.
        """
        check_several("count_each", frames)
        check_callback("until", until, optional=True)
        until = until or (lambda: False)
        return self._pipeline.count_each(self._jobs.of_all(frames, until, keep=keep_frames), until)

    def stream(
        self, source: SourceLike | Source, *, live: LiveOptions | None = None
    ) -> Generator[CountResult, None, None]:
        """Count frame after frame of a source; see `edgecount.open_sources`.

        Files are read ahead, and on a CPU several frames are counted at once (`workers`), at most
        two beyond those before their results are asked for. Of a camera or a stream the newest
        picture is taken each time when the engine is free; the others are dropped
        (`LiveOptions.newest`). One that breaks off is opened again, and the results go on.

        Args:
            source: an image, a folder, a glob, a video, a stream's URL, a camera's number, or a
                `Source`, such as a `LiveSource` or your own, whose `frames` run in its own thread.
            live: how cameras and streams are read that are no `LiveSource`; None: the defaults.

        Raises:
            ConfigError: an argument makes no sense.
            SourceError: the source cannot be opened, or stops before its end.
            BackendError: see `count`; or the counter was closed.
        """
        return stream_one(self._pipeline, self._jobs, source, live).results

    def count_frames(self, frames: Iterable[Frame] | Source) -> Iterator[tuple[Frame, CountResult]]:
        """Count frames of a source of one's own, each with its result, in order; see `stream`.

        Args:
            frames: a `Source`, or frames from anywhere, all in the same array if need be (not those
                on a GPU). The thread that asks for results reads these, on a CPU each when the one
                before is counted; for an engine on a GPU a thread of their own reads two ahead.

        Raises:
            InputError: a frame cannot be counted, or is no `edgecount.Frame`.
            BackendError: see `count`; or the counter was closed.
        """
        if isinstance(frames, Source):
            return self._pipeline.count_stream(self._jobs.reader(frames, None, late=False))
        check_frames(frames)
        return self._pipeline.count_frames(frames, self._jobs.of_source, self._jobs.of_passing)

    def stream_many(
        self,
        sources: Sequence[SourceLike | Source],
        *,
        timeout: float | None = None,
        on_error: Callable[[SourceError], object] | None = None,
        live: LiveOptions | None = None,
    ) -> Generator[CountResult, None, None]:
        """Count several sources side by side, in rounds of a frame each.

        `CountResult.source` and `frame` say whose results they are. Sources that have ended are
        left out. On a GPU the frames of a round that have one size go through the engine together.

        Without cameras the results of a round come in the order of the sources. With a camera
        among the sources each comes as soon as it is counted, and each picture is taken when the
        engine is free for it. A camera that is away, or much later than it should be, keeps its
        place and is waited for by nobody; its next picture joins the round that it comes in.

        Args:
            sources: each as for `stream`, such as cameras' URLs.
            timeout: seconds that a round waits for late sources once it has a frame: for cameras of
                different rates; None: for all of them that give frames.
            on_error: called with the error of a source that cannot be opened or fails for good,
                while the others go on; None: the error is raised, after the results before it.
            live: see `stream`.

        Raises:
            ConfigError: an argument makes no sense.
            SourceError: a source cannot be opened, or fails.
            BackendError: see `count`; or the counter was closed.
        """
        return stream_several(self._pipeline, self._jobs, sources, timeout, on_error, live).results

    async def count_async(self, frame: Any) -> CountResult:
        """Count one frame in a thread of asyncio's, to the end even if cancelled; see `count`."""
        from edgecount._async import call_in_thread

        return await call_in_thread(lambda: self.count(frame))

    def stream_async(
        self, source: SourceLike | Source, *, live: LiveOptions | None = None
    ) -> AsyncGenerator[CountResult, None]:
        """Count frame after frame in a thread, for ``async for``; see `stream`.

        A camera's picture is taken and counted when its result is asked for, and of files a few
        frames ahead, so that a slow consumer gets no backlog. Cancelling the task or closing the
        generator ends the thread and closes the source; use ``contextlib.aclosing`` where the loop
        may be left early.
        """
        from edgecount._async import iterate

        return iterate(stream_one(self._pipeline, self._jobs, source, live))

    def stream_many_async(
        self,
        sources: Sequence[SourceLike | Source],
        *,
        timeout: float | None = None,
        on_error: Callable[[SourceError], object] | None = None,
        live: LiveOptions | None = None,
    ) -> AsyncGenerator[CountResult, None]:
        """Count several sources in a thread, for ``async for``; see `stream_async`.

        ``on_error`` is called by the event loop; for the arguments see `stream_many`.
        """
        from edgecount._async import ErrorTeller, iterate

        teller = None if on_error is None else ErrorTeller(on_error)
        return iterate(
            stream_several(self._pipeline, self._jobs, sources, timeout, teller, live), teller
        )

    def watch(
        self,
        source: SourceLike | Source,
        on_result: Callable[[CountResult], object],
        *,
        on_error: Callable[[BaseException], object] | None = None,
        live: LiveOptions | None = None,
    ) -> Watching:
        """Count a source in a thread that calls back with each result; see `stream`.

        Args:
            source: see `stream`.
            on_result: called with each result. A camera's next picture is counted when it has
                returned; what it raises ends the watching.
            on_error: called with what has ended it, and then done with; None: `Watching.join`
                raises it, and the log has it.
            live: see `stream`.

        Raises:
            ConfigError: a callback cannot be called.
        """
        check_callback("on_result", on_result)
        check_callback("on_error", on_error, optional=True)
        return Watching(stream_one(self._pipeline, self._jobs, source, live), on_result, on_error)

    def refine(self, frame: CheckedFrame, result: CountResult) -> CountResult:
        """Return the result that callers get of a frame; by default the one that is given.

        A subclass may look again and return another; none is a `ConfigError`. Every method that
        counts calls this once per frame, perhaps from several threads at once.

        Args:
            frame: ``pixels`` is uint8 (H, W, 3) BGR, or what its ``format`` says of a `PixelFrame`
                and of an `NV12Frame`, which has ``chroma`` beside the luma; it may lie on a GPU.
            result: the counts of the engine's maps.
        """
        del frame
        return result

    @ends_before_the_interpreter
    def close(self) -> None:
        """Free the engine, unless the caller brought it.

        Frames in hand are counted first; streams then end with a `BackendError`. Twice is fine.
        """
        self._pipeline.close(self._settings.close_engines if self._owns_backend else None)

    __getstate__ = refuse_copies  # which pickle and copy call

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_REFINE = EdgeCounter.refine
