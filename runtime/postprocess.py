"""From the engine's maps to counts and head points in source pixels."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.regions import Region, rasterise
from edgecount.result import RegionCount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest, OutputSpec, Role
    from edgecount.runtime.preprocess import InputPlan

__all__ = ["Counts", "RegionMasks", "check_outputs", "count_outputs"]

_CHANNELS = {"density": 1, "heatmap": 1, "offset": 2, "size": 1}


@dataclass(frozen=True, eq=False)
class Counts:
    """What the maps of one frame say; the fields are those of `CountResult`."""

    count: float
    density_count: float | None
    peak_count: int | None
    points: NDArray[np.float32]
    density: NDArray[np.float32]
    density_stride_xy: tuple[float, float]
    regions: dict[str, RegionCount]
    overflow: bool
    interval: tuple[float, float] | None


class RegionMasks:
    """The regions of a counter, rasterised once per frame size and grid.

    Args:
        regions: the regions.
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = tuple(regions)
        # Cameras have one size; a folder of photos has many, and should not keep all their masks.
        self._rasterise = functools.lru_cache(maxsize=8)(self._rasterise_once)

    def on_grid(
        self, size: tuple[int, int], grid: tuple[int, int], cell: tuple[float, float]
    ) -> NDArray[np.float32] | None:
        """float32 (R, rows, columns) coverage, see `rasterise`; None without regions."""
        return self._rasterise(size, grid, cell) if self.regions else None

    def _rasterise_once(
        self, size: tuple[int, int], grid: tuple[int, int], cell: tuple[float, float]
    ) -> NDArray[np.float32]:
        return rasterise(self.regions, size=size, grid=grid, cell=cell)


def check_outputs(
    outputs: Mapping[str, NDArray[Any]], manifest: Manifest, height: int, width: int
) -> None:
    """Refuse an engine's maps that are not what the manifest promises for one image.

    Args:
        outputs: the maps by name.
        manifest: the model's manifest.
        height: of the network's input in pixels.
        width: of the network's input in pixels.

    Raises:
        BackendError: a map is missing or has another shape or dtype; the message names it.
    """
    for output in manifest.outputs:
        values = outputs.get(output.name)
        if values is None:
            raise BackendError(
                f"output {output.name!r} is missing: the engine gave {sorted(outputs)}"
            )
        expected = 1, _CHANNELS[output.role], height // output.stride, width // output.stride
        if values.shape != expected:
            raise BackendError(
                f"output {output.name!r}: expected shape {expected} for an input of "
                f"{height} x {width} pixels, got {values.shape}"
            )
        if values.dtype not in (np.float32, np.float16):
            raise BackendError(
                f"output {output.name!r}: expected float32 or float16, got {values.dtype}"
            )


def count_outputs(
    outputs: Mapping[str, NDArray[Any]],
    manifest: Manifest,
    plan: InputPlan,
    masks: RegionMasks,
    *,
    threshold: float,
    capacity: int,
) -> Counts:
    """Count the people in the checked maps of one frame.

    Args:
        outputs: the maps (1, C, h, w) of the whole padded plane.
        manifest: the model's manifest.
        plan: how the frame was sized.
        masks: the regions.
        threshold: a peak is above it.
        capacity: most points to return; 0: all.

    Raises:
        BackendError: a map holds a value that is not finite; the message names the output.
    """
    maps = {output.role: _crop(outputs[output.name], output, plan) for output in manifest.outputs}
    density, heatmap = manifest.output("density"), manifest.output("heatmap")
    base = next(output for output in (density, heatmap) if output is not None)
    cell = base.stride / plan.scale[0], base.stride / plan.scale[1]
    grid = maps[base.role].shape[-2:]
    found = _count(maps, manifest, masks.on_grid(plan.size, grid, cell), threshold, capacity)
    points = np.empty((0, 3), np.float32)
    if heatmap is not None:
        points = _to_source(found.peaks[0], heatmap.stride, plan)
    people = np.zeros((0, 0), np.float32)
    if density is not None:
        # A new array, also for a unit of 1: the engine's memory is not ours to hand out.
        people = np.divide(maps["density"][0, 0], density.unit, dtype=np.float32)
    count = float(found.count[0])
    density_count = None if density is None else float(found.density_sum[0])
    peak_count = None if heatmap is None else int(found.peak_count[0])
    return Counts(
        count=count,
        density_count=density_count,
        peak_count=peak_count,
        points=points,
        density=people,
        density_stride_xy=(0.0, 0.0) if density is None else cell,
        regions=_region_counts(found, masks.regions, density, heatmap),
        overflow=bool(found.overflow[0]),
        interval=_interval(manifest, count, density_count, peak_count),
    )


def _interval(
    manifest: Manifest, count: float, density_count: float | None, peak_count: int | None
) -> tuple[float, float] | None:
    spec = manifest.postprocess.interval
    if spec is None:
        return None
    if density_count is None or peak_count is None:
        return spec.around(count)
    return spec.around(count, density_count - peak_count)


def _crop(values: NDArray[Any], output: OutputSpec, plan: InputPlan) -> NDArray[Any]:
    """The cells that the frame covers, C-contiguous; what lies beyond is padding."""
    height, width = (-(-side // output.stride) for side in plan.resized)
    return np.ascontiguousarray(values[:, :, :height, :width])


def _count(
    maps: Mapping[Role, NDArray[Any]],
    manifest: Manifest,
    masks: NDArray[np.float32] | None,
    threshold: float,
    capacity: int,
) -> _ext.MapCounts:
    heatmap, density, post = maps.get("heatmap"), maps.get("density"), manifest.postprocess
    density_spec = manifest.output("density")
    fusion = post.fusion if density_spec is not None and heatmap is not None else None
    try:
        return _ext.count_maps(
            None if heatmap is None else heatmap[:, 0],
            maps.get("offset"),
            None if density is None else density[:, 0],
            masks,
            window=post.window,
            threshold=threshold,
            capacity=capacity,
            unit=density_spec.unit if density_spec is not None else 1.0,
            fuse_cell=fusion.cell // density_spec.stride if fusion and density_spec else 0,
            fuse_low=fusion.low if fusion else 0.0,
            fuse_high=fusion.high if fusion else 0.0,
        )
    except ValueError as error:
        raise _explain(error, manifest) from error


def _explain(error: ValueError, manifest: Manifest) -> BackendError:
    """The kernel names the role of the map that is not finite; add the output's name."""
    role, _, rest = str(error).partition(":")
    named = [output.name for output in manifest.outputs if output.role == role]
    if not named:
        return BackendError(f"the maps of {manifest.name} cannot be counted: {error}")
    return BackendError(f"output {named[0]!r} ({role}) of {manifest.name}:{rest}")


def _to_source(peaks: NDArray[np.float32], stride: int, plan: InputPlan) -> NDArray[np.float32]:
    """Peaks in heatmap cells as points in source pixels, inside the frame."""
    points: NDArray[np.float32] = peaks.copy()
    factor = stride / plan.scale[0], stride / plan.scale[1]
    points[:, :2] = np.clip(points[:, :2] * np.asarray(factor), 0, np.asarray(plan.size))
    return points


def _region_counts(
    found: _ext.MapCounts,
    regions: Sequence[Region],
    density: OutputSpec | None,
    heatmap: OutputSpec | None,
) -> dict[str, RegionCount]:
    return {
        region.name: RegionCount(
            name=region.name,
            count=float(found.region_count[0, index]),
            density_count=None if density is None else float(found.region_density[0, index]),
            peak_count=None if heatmap is None else float(found.region_peaks[0, index]),
        )
        for index, region in enumerate(regions)
    }
