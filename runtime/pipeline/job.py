"""Frames on their way to a count, and what all frames of a counter have in common."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edgecount._density import LEFT_OUT
from edgecount.errors import ConfigError
from edgecount.result import CountResult
from edgecount.runtime.pipeline.preprocess import (
    InputGeometry,
    Sizes,
    check_enlarged,
    input_geometry,
)
from edgecount.runtime.zoom.search import largest_views

if TYPE_CHECKING:
    from edgecount.manifest import InputSpec, Manifest
    from edgecount.result import Timings
    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.frames.checked import CheckedFrame
    from edgecount.runtime.pipeline.postprocess import Counts, RegionMasks
    from edgecount.runtime.sources.base import Frame

_log = logging.getLogger(__name__)

# Of three photos of streets (ShanghaiTech B, counted by edgecount-s) two lose 8 and 14% of their
# people at half their size, and a quarter of them at a quarter.
_STRONG = 0.5
_warned: set[tuple[int, int]] = set()

OnSize: TypeAlias = "Callable[[int, int], None]"


@dataclass(frozen=True, eq=False)
class FrameJob:
    """A frame to count.

    Attributes:
        frame: the checked frame; one on a GPU has been taken over from its library.
        origin: the source's frame that it was made of; None for a bare array.
        place: position of its source among the sources of a round.
        together: number of jobs in its round.
        gpu: number of the GPU that has to count it, where a counter has several; None: any.
    """

    frame: CheckedFrame
    origin: Frame | None = None
    place: int = 0
    together: int = 1
    gpu: int | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """Size, layout and GPU: jobs of one kind can go through an engine in one batch."""
        return self.frame.size, self.frame.format, -1 if self.gpu is None else self.gpu


@dataclass(frozen=True, eq=False)
class LateJob:
    """A frame to count that is read by the thread that counts it, and not kept beyond that.

    Attributes:
        read: reads it. It may call its argument with the picture's width and height, before memory
            is taken for the pixels.
    """

    read: Callable[[OnSize], FrameJob]
    origin: Frame | None = None
    place: int = 0
    together: int = 1


Job: TypeAlias = "FrameJob | LateJob"


def _told(origin: Frame | None) -> dict[str, Any]:
    """Return what a result says of its frame, as plain types: callers give NumPy's and paths."""
    if origin is None:
        return {"source": None, "frame": None, "time": None}
    # Frames of a caller's own class may lack the times.
    source: Any = origin.source
    index: Any = origin.index
    times = {name: getattr(origin, name, None) for name in ("time", "captured", "media_time")}
    return {
        "source": None if source is None else os.fsdecode(source),
        "frame": None if index is None else int(index),
        **{name: None if time is None else float(time) for name, time in times.items()},
    }


class Outcome:
    """The outcome of one of several frames: a result, or the error that it failed with.

    Attributes:
        frame: the frame, if frames were to be kept and it could be read; else None.
    """

    def __init__(self, found: CountResult | Exception, frame: Frame | None = None) -> None:
        self._found, self.frame = found, frame

    @property
    def error(self) -> Exception | None:
        """Why the frame was not counted; None: it was."""
        return self._found if isinstance(self._found, Exception) else None

    def result(self) -> CountResult:
        """Return the result, or raise the error."""
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@dataclass(eq=False)
class CountSettings:
    """The model and the options by which a counter's frames are counted.

    Attributes:
        backend: the engine; results carry its name.
        manifest: the model's manifest.
        threshold: score above which a peak counts, in [0, 1).
        capacity: most points to list per frame; 0: all.
        max_side: longest side in pixels that a frame keeps; None: any.
        limits: smallest and largest (height, width) in pixels that the engine takes; None: any.
        masks: the regions; a counter replaces them between frames.
        refine: called with each frame and its result; what it returns is the caller's.
        zoom: how often dense regions are enlarged and searched again; see `Zoom`.
        others: the same engine on further GPUs.
        density: whether results have the density map.
    """

    backend: Backend
    manifest: Manifest
    threshold: float
    capacity: int
    max_side: int | None
    limits: Sizes | None
    masks: RegionMasks
    refine: Callable[[CheckedFrame, CountResult], CountResult]
    zoom: int = 0
    others: Sequence[DeviceBackend] = ()
    density: bool = True

    @property
    def engines(self) -> tuple[Backend, ...]:
        """The engine on each of the GPUs, or the one on the CPU."""
        return (self.backend, *self.others)

    def close_engines(self) -> None:
        """Free each engine, also where another one fails to."""
        with ExitStack() as stack:
            for engine in self.engines:
                stack.callback(engine.close)

    def geometry(self, size: tuple[int, int]) -> InputGeometry:
        """Decide how frames of a (width, height) in pixels are sized, padded and tiled.

        Raises:
            ConfigError: see `input_geometry`; or regions, enlarged, do not fit the engine.
        """
        geometry = input_geometry(size, self.manifest.input, self.max_side, self.limits)
        if not geometry.is_native:
            _warn_of_shrinking(geometry, self.manifest.input, self.max_side, self.limits)
        if self.zoom:
            # Told at any frame, and not at the first that has a dense region.
            check_enlarged(self._largest_view(geometry), geometry, self.manifest.input, self.limits)
        return geometry

    def largest_plane(self, size: tuple[int, int]) -> int:
        """Return the pixels that the engine is given at once, at most, of frames of a size."""
        geometry = self.geometry(size)
        height, width = geometry.padded
        if not self.zoom:
            return height * width
        view = self._largest_view(geometry)
        return max(height * width, view[0] * view[1])

    def _largest_view(self, geometry: InputGeometry) -> tuple[int, int]:
        return largest_views(geometry.size, geometry.resized, self.zoom)

    def result(
        self, job: FrameJob, geometry: InputGeometry, counts: Counts, timings: Timings
    ) -> CountResult:
        """Put together the result of a frame, and refine it.

        Raises:
            ConfigError: `refine` gives no result.
        """
        if not self._is_as_measured(geometry):
            counts = dataclasses.replace(counts, interval=None)
        if not self.density and counts.density_count is not None:
            counts = dataclasses.replace(counts, density=LEFT_OUT)
        result = CountResult(
            **vars(counts),
            size=geometry.size,
            model=self.manifest.name,
            backend=self.backend.name,
            precision=self.backend.precision,
            **_told(job.origin),
            timings=timings,
        )
        return self._refined(job.frame, result)

    def _refined(self, frame: CheckedFrame, result: CountResult) -> CountResult:
        try:
            refined: Any = self.refine(frame, result)
        except StopIteration as error:
            # It would end a loop over results without a word, and a future of asyncio refuses it.
            raise RuntimeError("refine raised StopIteration") from error
        if not isinstance(refined, CountResult):
            raise ConfigError(
                f"refine: expected a CountResult, got {type(refined).__name__}: return the result, "
                "changed or not"
            )
        return refined

    def _is_as_measured(self, geometry: InputGeometry) -> bool:
        """Return whether a frame is counted as the model's interval was measured."""
        spec = self.manifest
        if self.threshold != spec.postprocess.threshold:
            return False
        if self.max_side == spec.input.max_side and not (self.limits or spec.input.static_size):
            return True
        # Another limit, or a fixed size, matters only for frames that it changes the size of.
        measured = _unlimited(geometry.size, spec.input, spec.input.max_side)
        return geometry.resized == measured.resized


@functools.lru_cache(maxsize=64)  # so that each size is warned of once
def _warn_of_shrinking(
    geometry: InputGeometry, spec: InputSpec, max_side: int | None, limits: Sizes | None
) -> None:
    """Warn of frames that are shrunk so far that heads are lost."""
    largest = spec.static_size or (limits[1] if limits else None)
    if largest and geometry.resized != _unlimited(geometry.size, spec, max_side).resized:
        most = f"{largest[1]} x {largest[0]}"
        why = (
            f"the model takes {most} only"
            if spec.static_size
            else f"the engine takes at most {most}"
        )
        advice = "build it for larger frames (edgecount export --input)"
    elif max(geometry.resized) <= _STRONG * max(geometry.size) and geometry.resized not in _warned:
        _warned.add(geometry.resized)  # photos come in many sizes that are shrunk to one
        why = f"`max_side` is {max_side}"
        advice = (
            "give a larger one (--max-side), or count the parts of a joined picture by themselves"
        )
    else:
        return
    _log.warning(
        "frames of %d x %d pixels are counted at %d x %d, because %s: people far away may be lost; "
        "%s",
        *(*geometry.size, *geometry.resized[::-1], why, advice),
    )


@functools.lru_cache(maxsize=64)
def _unlimited(size: tuple[int, int], spec: InputSpec, max_side: int | None) -> InputGeometry:
    """Return how a frame is sized where neither engine nor model sets a size."""
    return input_geometry(size, dataclasses.replace(spec, static_size=None), max_side)
