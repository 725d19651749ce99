"""The kernels, with their buffers, that frames of one size need on a GPU beside the engine."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecount import _ext
from edgecount.runtime.pipeline.gpu_counters import GpuCounter, open_counter
from edgecount.runtime.pipeline.postprocess import MapGrid, RegionMasks
from edgecount.runtime.pipeline.preprocess import black

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.runtime.backends.device import Bound
    from edgecount.runtime.frames.pixel_formats import PixelFormat
    from edgecount.runtime.pipeline.job import CountSettings
    from edgecount.runtime.pipeline.preprocess import InputGeometry

# Cameras have a few sizes; a folder of photos has many.
_KEPT = 8


@dataclass(frozen=True, eq=False)
class GpuKernels:
    """The preprocessor and the counters of frames of one size and kind.

    Attributes:
        grid: the map cells that a frame covers.
        preprocessor: fills the engine's input.
        coverage: share of each cell that each region covers, float32 (R, rows, columns). They
            are found by the id of this array, which lives as long as they do.
        counters: counters of maps, by the number of images in a batch.
    """

    grid: MapGrid
    preprocessor: _ext.Preprocessor
    coverage: NDArray[np.float32] | None
    counters: dict[int, GpuCounter] = field(default_factory=dict)


class GpuKernelCache:
    """The kernels of the eight frame sizes that were used last."""

    def __init__(self, settings: CountSettings, device: int) -> None:
        self._settings, self._device = settings, device
        self._manifest = settings.manifest
        self._kept: OrderedDict[tuple[object, ...], GpuKernels] = OrderedDict()

    def find(
        self, geometry: InputGeometry, masks: RegionMasks, bound: Bound, *, pixels: PixelFormat
    ) -> GpuKernels:
        """Return the kernels of frames of a pixel format for an engine's tensors, with a counter.

        Raises:
            RuntimeError: the GPU has no memory left.
        """
        grid = MapGrid(self._manifest, geometry)
        coverage = grid.masks(masks)
        dtypes = {
            output.name: bound.outputs[output.name].dtype for output in self._manifest.outputs
        }
        # The kernels' tables are made for all of these. Regions are compared by the id of their
        # masks, which are many megabytes and the same object as long as the regions are.
        key = geometry, pixels, id(coverage), bound.input.dtype, *dtypes.values()
        found = self._kept.get(key)
        if found is None:
            preprocessor = self._make_preprocessor(geometry, bound.input.dtype, pixels=pixels)
            found = self._kept[key] = GpuKernels(grid, preprocessor, coverage)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        batch = bound.input.shape[0]
        if batch not in found.counters:
            settings = self._settings
            found.counters[batch] = open_counter(
                grid,
                coverage,
                batch,
                dtypes,
                self._device,
                threshold=settings.threshold,
                capacity=settings.capacity,
                density=settings.density,
            )
        return found

    def clear(self) -> None:
        """Free the kernels."""
        self._kept.clear()

    def _make_preprocessor(
        self, geometry: InputGeometry, dtype: str, *, pixels: PixelFormat
    ) -> _ext.Preprocessor:
        spec, (width, height) = self._manifest.input, geometry.size
        return _ext.Preprocessor(
            height,
            width,
            *geometry.padded,
            *geometry.resized,
            spec.mean,
            spec.scale,
            spec.channels == "RGB",
            black(spec),
            pixels=pixels,
            dtype=dtype,
            device=self._device,
        )
