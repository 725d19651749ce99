"""What frames of one size need on a GPU besides the engine's tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgecount import _ext
from edgecount.runtime.pipeline.postprocess import MapGrid, RegionMasks
from edgecount.runtime.pipeline.preprocess import black

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest, Role
    from edgecount.runtime.backends.device import Bound
    from edgecount.runtime.pipeline.preprocess import InputPlan

__all__ = ["Setup", "Setups"]

# Cameras have a few sizes; a folder of photos has many.
_KEPT = 8


@dataclass(frozen=True, eq=False)
class Setup:
    """For frames of one size and kind.

    Attributes:
        grid: the cells that a frame covers.
        preprocessor: makes the engine's input.
        counters: of maps, by the number of images in a batch.
        coverage: of the regions; it keeps its id, by which a setup is found.
    """

    grid: MapGrid
    preprocessor: _ext.Preprocessor
    coverage: NDArray[np.float32] | None
    counters: dict[int, _ext.MapCounter] = field(default_factory=dict)


class Setups:
    """Those of the last eight sizes, each with a counter for every size of a batch it had.

    Args:
        manifest: the model's manifest.
        options: the keywords of `_ext.MapCounter` that all have in common.
        device: number of the GPU.
    """

    def __init__(self, manifest: Manifest, options: Mapping[str, Any], device: int) -> None:
        self._manifest, self._options, self._device = manifest, options, device
        self._kept: OrderedDict[tuple[object, ...], Setup] = OrderedDict()

    def find(self, plan: InputPlan, masks: RegionMasks, bound: Bound, *, nv12: bool) -> Setup:
        """What frames need that go to these tensors; its counters have one for their batch.

        Raises:
            RuntimeError: the GPU has no memory left.
        """
        grid = MapGrid(self._manifest, plan)
        coverage = grid.masks(masks)
        dtypes = {
            output.role: bound.outputs[output.name].dtype for output in self._manifest.outputs
        }
        key = plan, nv12, id(coverage), bound.input.dtype, *dtypes.values()
        setup = self._kept.get(key)
        if setup is None:
            preprocessor = self._make_preprocessor(plan, bound.input.dtype, nv12=nv12)
            setup = self._kept[key] = Setup(grid, preprocessor, coverage)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        batch = bound.input.shape[0]
        if batch not in setup.counters:
            setup.counters[batch] = self._make_counter(grid, coverage, batch, dtypes)
        return setup

    def clear(self) -> None:
        """Free them."""
        self._kept.clear()

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
            device=self._device,
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
            device=self._device,
            **self._options,
        )
