"""Counters on a GPU, by the maps that a manifest promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.runtime.pipeline.postprocess import box_options, count_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.manifest import OutputSpec
    from edgecount.runtime.pipeline.postprocess import MapGrid


class GpuCounter(ABC):
    """A counter of batches of maps on a GPU, without the padding around frames.

    Attributes:
        grid: the map cells that a frame covers.
    """

    def __init__(self, grid: MapGrid, counter: _ext.MapCounter | _ext.BoxCounter) -> None:
        self.grid = grid
        self._reader = counter

    @abstractmethod
    def enqueue(self, outputs: Mapping[str, _ext.DeviceArray], stream: _ext.Stream) -> None:
        """Put the counting of an engine's maps, by their names, into a stream."""

    def read(self, stream: _ext.Stream) -> _ext.MapCounts:
        """Return the counts of the last `enqueue`, whose work must be done.

        Raises:
            ValueError: a map holds a value that is not finite.
        """
        return self._reader.read(stream)

    def density_of(self, image: int) -> NDArray[np.float32] | None:  # noqa: ARG002
        """Return a copy of one image's density in people per cell; None without one."""
        return None

    def _covered(
        self, outputs: Mapping[str, _ext.DeviceArray], output: OutputSpec
    ) -> _ext.DeviceArray:
        """Return the part of a map that frames cover, (B, C, h, w)."""
        return outputs[output.name][self.grid.crop(output)]


def open_counter(
    grid: MapGrid,
    coverage: NDArray[np.float32] | None,
    batch: int,
    dtypes: Mapping[str, str],
    device: int,
    *,
    threshold: float,
    capacity: int,
    density: bool = True,
) -> GpuCounter:
    """Make the counter of batches of one shape.

    Args:
        grid: the map cells that a frame covers.
        coverage: share of each cell that each region covers, float32 (R, rows, columns).
        batch: number of images.
        dtypes: "float32" or "float16" by the names of the maps.
        device: number of the GPU.
        threshold: score above which a peak or a box counts.
        capacity: most points to list per image; 0: all.
        density: whether a density is brought back with the counts.

    Raises:
        RuntimeError: the GPU has no memory left.
    """
    if grid.levels:
        options = box_options(grid, threshold, capacity)
        return BoxesCounter(grid, coverage, batch, dtypes, device, options)
    return MapsCounter(
        grid, coverage, batch, dtypes, device, count_options(grid, threshold, capacity), density
    )


class MapsCounter(GpuCounter):
    """Counts heads by a density, a heatmap or both; see `open_counter`."""

    def __init__(
        self,
        grid: MapGrid,
        coverage: NDArray[np.float32] | None,
        batch: int,
        dtypes: Mapping[str, str],
        device: int,
        options: Mapping[str, Any],
        keep_density: bool,
    ) -> None:
        heatmap, density = grid.heatmap, grid.density
        self._offset = grid.manifest.output("offset")
        _check_one_dtype(heatmap, self._offset, dtypes)
        self._counter = _ext.MapCounter(
            batch,
            None if heatmap is None else grid.cells(heatmap),
            None if density is None else grid.cells(density),
            offset=self._offset is not None,
            masks=coverage,
            heatmap_dtype="float32" if heatmap is None else dtypes[heatmap.name],
            density_dtype="float32" if density is None else dtypes[density.name],
            # The next frame overwrites the engine's own map: what is not brought back with the
            # counts cannot be asked for later.
            keep_density=density is not None and keep_density,
            device=device,
            **options,
        )
        super().__init__(grid, self._counter)

    def enqueue(self, outputs: Mapping[str, _ext.DeviceArray], stream: _ext.Stream) -> None:
        """Put the counting of the maps into a stream; see `GpuCounter.enqueue`."""
        heatmap, offset, density = (
            None if output is None else self._covered(outputs, output)
            for output in (self.grid.heatmap, self._offset, self.grid.density)
        )
        self._counter.enqueue(
            None if heatmap is None else heatmap[:, 0],
            offset,
            None if density is None else density[:, 0],
            stream,
        )

    def density_of(self, image: int) -> NDArray[np.float32] | None:
        """Return one image's density; see `GpuCounter.density_of`."""
        return self._counter.density_of(image)


def _check_one_dtype(
    heatmap: OutputSpec | None, offset: OutputSpec | None, dtypes: Mapping[str, str]
) -> None:
    if heatmap is None or offset is None:
        return
    one, other = dtypes[heatmap.name], dtypes[offset.name]
    if one != other:
        raise BackendError(
            f"output {offset.name!r}: expected {one} on a GPU, as {heatmap.name!r} is, got "
            f"{other}: build the engine with both in one type"
        )


class BoxesCounter(GpuCounter):
    """Counts heads by a detector's boxes; see `open_counter`."""

    def __init__(
        self,
        grid: MapGrid,
        coverage: NDArray[np.float32] | None,
        batch: int,
        dtypes: Mapping[str, str],
        device: int,
        options: Mapping[str, Any],
    ) -> None:
        levels = [
            (
                scores.anchors,
                *grid.cells(scores),
                scores.stride,
                dtypes[scores.name],
                dtypes[boxes.name],
            )
            for scores, boxes in grid.levels
        ]
        self._counter = _ext.BoxCounter(batch, levels, masks=coverage, device=device, **options)
        super().__init__(grid, self._counter)

    def enqueue(self, outputs: Mapping[str, _ext.DeviceArray], stream: _ext.Stream) -> None:
        """Put the counting of the boxes into a stream; see `GpuCounter.enqueue`."""
        levels = [
            (self._covered(outputs, scores), self._covered(outputs, boxes))
            for scores, boxes in self.grid.levels
        ]
        self._counter.enqueue(levels, stream)
