"""EdgeCounter: the one object that most programs need."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgecount.errors import ConfigError
from edgecount.manifest import Manifest
from edgecount.models import DEFAULT_MODEL
from edgecount.regions import Region, RegionsLike, read_regions
from edgecount.result import CountResult
from edgecount.runtime.backend import Backend, open_backend
from edgecount.runtime.clock import Clock
from edgecount.runtime.images import as_bgr, read_image
from edgecount.runtime.map_runner import MapRunner
from edgecount.runtime.model_file import open_model
from edgecount.runtime.postprocess import RegionMasks, count_outputs
from edgecount.runtime.preprocess import plan_input
from edgecount.runtime.sources import open_sources

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgecount.runtime.preprocess import InputPlan
    from edgecount.runtime.sources import SourceLike

__all__ = ["EdgeCounter"]

MODEL_DEFAULT: Literal["model"] = "model"


class EdgeCounter:
    """Counts people in frames. `count` may be called from several threads at once.

    Args:
        model: a bundled model's name, an .onnx file, or a folder that holds model.onnx; or the
            `Manifest` of what a backend of your own runs.
        backend: "auto" (the best engine that works here; the log says which), "onnxruntime",
            "onnxruntime-cuda", "fake", or a `Backend` of your own, which stays yours to close.
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
    ) -> None:
        self.regions = regions
        found = open_model(model)
        self._manifest = found.manifest
        self._threshold = _check_threshold(threshold, self._manifest)
        self._max_side = _check_max_side(max_side, self._manifest)
        self._capacity = _check_capacity(capacity)
        self._owns_backend = not isinstance(backend, Backend)
        self._backend = open_backend(found, backend, threads=threads)
        self._runner = MapRunner(self._backend, self._manifest)

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
                other arrays that are converted), a PIL image, or the path of an image file.

        Raises:
            InputError: the frame cannot be counted; SourceError: its file cannot be read.
            BackendError: the engine failed, or gave maps that its manifest does not promise.
        """
        if isinstance(frame, (str, os.PathLike)):
            path = Path(frame)
            return self._count(read_image(path), source=str(path), index=0)
        return self._count(as_bgr(frame))

    def count_batch(self, frames: Iterable[Any]) -> list[CountResult]:
        """Count several frames, which may differ in size, in order.

        They go through the engine one by one: on a CPU a batch is no faster than its frames, and
        memory stays that of one frame.
        """
        return [self.count(frame) for frame in frames]

    def stream(self, source: SourceLike) -> Iterator[CountResult]:
        """Count frame after frame of a source; see `runtime.sources.open_sources`.

        Args:
            source: an image, a folder, a glob, a video, a stream's URL or a camera's number.

        Raises:
            SourceError: the source cannot be opened, or stops before its end.
        """
        for opened in open_sources(source):
            for frame in opened.frames():
                yield self._count(frame.image, source=frame.source, index=frame.index)

    def close(self) -> None:
        """Free the engine, unless the caller brought it."""
        if self._owns_backend:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(
        self, image: NDArray[np.uint8], source: str | None = None, index: int | None = None
    ) -> CountResult:
        clock = Clock()
        height, width = image.shape[:2]
        plan = plan_input((width, height), self._manifest.input, self._max_side)
        maps = self._runner.run(image, plan, clock)
        counts = count_outputs(
            maps,
            self._manifest,
            plan,
            self._masks,
            threshold=self._threshold,
            capacity=self._capacity,
        )
        if counts.interval and not self._counts_as_measured(plan):
            counts = dataclasses.replace(counts, interval=None)
        clock.lap("postprocess")
        return CountResult(
            **vars(counts),
            size=(width, height),
            model=self._manifest.name,
            backend=self._backend.name,
            source=source,
            frame=index,
            timings=clock.timings,
        )

    def _counts_as_measured(self, plan: InputPlan) -> bool:
        """Whether a frame is counted as the model's interval was measured."""
        spec = self._manifest
        if self._threshold != spec.postprocess.threshold:
            return False
        if self._max_side == spec.input.max_side:
            return True
        return plan.resized == plan_input(plan.size, spec.input, spec.input.max_side).resized


def _check_threshold(threshold: float | None, manifest: Manifest) -> float:
    if threshold is None:
        return manifest.postprocess.threshold
    if not _is_number(threshold, Real) or not 0 <= threshold < 1:
        raise ConfigError(f"threshold: expected a number in [0, 1), got {threshold!r}")
    return float(threshold)


def _check_max_side(max_side: int | str | None, manifest: Manifest) -> int | None:
    if max_side == MODEL_DEFAULT:
        return manifest.input.max_side
    if max_side is None:
        return None
    if isinstance(max_side, str) or not _is_number(max_side, Integral) or max_side < 1:
        raise ConfigError(
            f'max_side: expected a whole number of pixels, "model" or None, got {max_side!r}'
        )
    return int(max_side)


def _check_capacity(capacity: int | None) -> int:
    if capacity is None:
        return 0
    if not _is_number(capacity, Integral) or capacity < 1:
        raise ConfigError(
            f"capacity: expected a whole number, 1 or more, or None for no limit, got {capacity!r}"
        )
    return int(capacity)


def _is_number(value: object, kind: type) -> bool:
    """Whether a value is a number of this kind; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
