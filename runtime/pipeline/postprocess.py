"""From the engine's maps to counts and head points in source pixels."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount import _ext
from edgecount._fusion import fusion_cell, fusion_ends
from edgecount.errors import BackendError
from edgecount.regions import Region, SizeWatch, rasterise
from edgecount.result import RegionCount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.manifest import Manifest, OutputSpec
    from edgecount.runtime.pipeline.preprocess import InputGeometry


# Networks without a last ReLU give a little less than nothing for an empty place.
LEAST_PEOPLE_PER_CELL = 0.001
_HIGHEST_SCORE = 1.05  # INT8 may round a probability of 1 up


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of one frame's maps; the fields are those of `CountResult`."""

    count: float
    density_count: float | None
    peak_count: int | None
    points: NDArray[np.float32]
    density: NDArray[np.float32]
    density_stride_xy: tuple[float, float]
    regions: dict[str, RegionCount]
    overflow: bool
    interval: tuple[float, float] | None
    boxes: NDArray[np.float32] | None


_DTYPES = (np.dtype(np.float32), np.dtype(np.float16))


class RegionMasks:
    """The regions of a counter, in the order of the results, rasterised once per size and grid."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = tuple(regions)
        # Cameras have one size; a folder of photos has many, and should not keep all their masks.
        self._rasterise = functools.lru_cache(8)(functools.partial(rasterise, self.regions))
        self._sizes = SizeWatch(self.regions)

    def on_grid(
        self, size: tuple[int, int], grid: tuple[int, int], cell: tuple[float, float]
    ) -> NDArray[np.float32] | None:
        """Return float32 (R, rows, columns) coverage, see `rasterise`; None without regions."""
        if not self.regions:
            return None
        self._sizes.see(size)
        return self._rasterise(size=size, grid=grid, cell=cell)


def check_outputs(
    outputs: Mapping[str, Any], manifest: Manifest, height: int, width: int, batch: int = 1
) -> None:
    """Refuse maps of an engine that are not as its manifest promises.

    Args:
        outputs: the maps by name, in the host's memory or on a GPU.
        manifest: the model's manifest.
        height: height of the network's input in pixels.
        width: width of the network's input in pixels.
        batch: number of images in a run.

    Raises:
        BackendError: a map is missing, no array, or has another shape or dtype; the message names
            it.
    """
    if not isinstance(outputs, Mapping):
        raise BackendError(
            f"the engine gave {_kind(outputs)}: expected a mapping of names to arrays"
        )
    for output in manifest.outputs:
        values = outputs.get(output.name)
        if values is None:
            raise BackendError(
                f"output {output.name!r} is missing: the engine gave {sorted(outputs)}"
            )
        if not hasattr(values, "shape") or not hasattr(values, "dtype"):
            raise BackendError(f"output {output.name!r}: expected an array, got {_kind(values)}")
        # Inputs are padded to a multiple of every stride, so that nothing is cut here.
        cells = height // output.stride, width // output.stride
        expected = batch, output.channels, *cells
        if tuple(values.shape) != expected:
            raise BackendError(
                f"output {output.name!r}: expected shape {expected} for an input of "
                f"{height} x {width} pixels, got {values.shape}"
            )
        # The text of a NumPy type takes longer to make than all the rest here takes.
        if values.dtype not in _DTYPES and str(values.dtype) not in ("float32", "float16"):
            raise BackendError(
                f"output {output.name!r}: expected float32 or float16, got {values.dtype}"
            )


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def count_outputs(
    outputs: Mapping[str, NDArray[Any]],
    manifest: Manifest,
    geometry: InputGeometry,
    masks: RegionMasks,
    *,
    threshold: float,
    capacity: int,
) -> Counts:
    """Count the people in the checked maps of one frame.

    Args:
        outputs: the maps (1, C, h, w) of the whole padded plane.
        manifest: the model's manifest.
        geometry: how the frame was sized.
        masks: the regions.
        threshold: score above which a peak or a box counts, in [0, 1).
        capacity: most points to return; 0: all.

    Raises:
        BackendError: a map holds a value that is not finite; the message names the output.
    """
    grid = MapGrid(manifest, geometry)
    # Padding is cut off before counting: a network may see people in it, or past the frame's edge.
    maps = {
        output.name: np.ascontiguousarray(outputs[output.name][grid.crop(output)])
        for output in manifest.outputs
    }
    if grid.levels:
        return _count_boxes(maps, grid, masks, box_options(grid, threshold, capacity))
    by_role = {output.role: maps[output.name] for output in manifest.outputs}
    heatmap, density = by_role.get("heatmap"), by_role.get("density")
    offset = by_role.get("offset")
    if heatmap is not None and offset is not None and heatmap.dtype != offset.dtype:
        heatmap, offset = (part.astype(np.float32) for part in (heatmap, offset))
    with explained(manifest):
        found = _ext.count_maps(
            None if heatmap is None else heatmap[:, 0],
            offset,
            None if density is None else density[:, 0],
            grid.masks(masks),
            **count_options(grid, threshold, capacity),
        )
    people = np.zeros((0, 0), np.float32)
    if density is not None and grid.density is not None:
        # A new array, also for a unit of 1: the engine's memory is not ours to hand out.
        people = np.divide(density[0, 0], grid.density.unit, dtype=np.float32)
    return read_counts(found, 0, people, grid, masks)


def _count_boxes(
    maps: Mapping[str, NDArray[Any]], grid: MapGrid, masks: RegionMasks, options: dict[str, Any]
) -> Counts:
    """Count the heads of one frame by the cropped maps of a detector."""
    levels = [(maps[scores.name], maps[boxes.name], scores.stride) for scores, boxes in grid.levels]
    with explained(grid.manifest):
        found = _ext.count_boxes(levels, grid.masks(masks), **options)
    return read_counts(found, 0, np.zeros((0, 0), np.float32), grid, masks)


class MapGrid:
    """The cells of the maps that a frame covers; what lies beyond is padding."""

    def __init__(self, manifest: Manifest, geometry: InputGeometry) -> None:
        self.manifest, self.geometry = manifest, geometry
        self.density, self.heatmap = manifest.output("density"), manifest.output("heatmap")
        self.levels = manifest.levels()
        # Regions are rasterised on one map's cells; the kernels look up heads in the same masks.
        finest = self.levels[0][0] if self.levels else None
        bases = self.density, self.heatmap, finest
        base = next(output for output in bases if output is not None)
        self.shape = self.cells(base)
        self.cell = base.stride / geometry.scale[0], base.stride / geometry.scale[1]

    def cells(self, output: OutputSpec) -> tuple[int, int]:
        """Return the rows and columns of a map that the frame covers."""
        height, width = (-(-side // output.stride) for side in self.geometry.resized)
        return height, width

    def crop(self, output: OutputSpec) -> tuple[slice, slice, slice, slice]:
        """Return the slices of these cells in a map (B, C, h, w)."""
        height, width = self.cells(output)
        return slice(None), slice(None), slice(0, height), slice(0, width)

    def masks(self, masks: RegionMasks) -> NDArray[np.float32] | None:
        """Return the coverage of the regions on these cells; see `RegionMasks.on_grid`."""
        return masks.on_grid(self.geometry.size, self.shape, self.cell)


def count_options(grid: MapGrid, threshold: float, capacity: int) -> dict[str, Any]:
    """Return the keyword arguments of `_ext.count_maps` and `_ext.MapCounter` for a frame's maps.

    Args:
        grid: the cells that the frame covers.
        threshold: score above which a peak counts, in [0, 1).
        capacity: most points to return; 0: all.
    """
    post, density = grid.manifest.postprocess, grid.density
    options: dict[str, Any] = {
        "window": post.window,
        "threshold": threshold,
        "capacity": capacity,
        "unit": density.unit if density is not None else 1.0,
    }
    if density is None or grid.heatmap is None or post.fusion is None:
        return options
    cell = fusion_cell(post.fusion, grid.cells(density), density.stride)
    low, high = fusion_ends(post.fusion, cell, density.stride)
    return options | {
        "fuse_cell": cell[0],
        "fuse_width": cell[1],
        "fuse_low": low,
        "fuse_high": high,
    }


def box_options(grid: MapGrid, threshold: float, capacity: int) -> dict[str, Any]:
    """Return the keyword arguments of `_ext.count_boxes` for frames of one size."""
    height, width = grid.geometry.resized
    return {
        "threshold": threshold,
        "iou": grid.manifest.postprocess.nms_iou,
        "capacity": capacity,
        "size": (float(width), float(height)),
    }


def read_counts(
    found: _ext.MapCounts,
    image: int,
    people: NDArray[np.float32],
    grid: MapGrid,
    masks: RegionMasks,
) -> Counts:
    """Return the counts that the kernels found in one image of a batch, in source pixels.

    No count is below 0; `density_count` is the map's sum as it is, and so may be.

    Args:
        found: the kernels' counts of the batch.
        image: index of the image in the batch.
        people: (h, w) people per cell; (0, 0) without a density.
        grid: the cells that the frame covers.
        masks: the regions.
    """
    density, heatmap, geometry = grid.density, grid.heatmap, grid.geometry
    points, boxes = np.empty((0, 3), np.float32), None
    if heatmap is not None:
        points = _to_source(found.peaks[image], heatmap.stride, geometry)
    elif grid.levels:  # in pixels of the network
        points = _to_source(found.peaks[image], 1, geometry)
        boxes = _to_source(found.boxes[image], 1, geometry)
    _check_scores(points, grid)
    heads = heatmap is not None or boxes is not None
    # The densities of an empty place may add up to a little less than nobody.
    count = max(0.0, float(found.count[image]))
    density_count = None if density is None else float(found.density_sum[image])
    peak_count = int(found.peak_count[image]) if heads else None
    if density is not None and density_count is not None:
        _check_people(density_count, grid, density)
    interval = grid.manifest.postprocess.interval
    return Counts(
        count=count,
        density_count=density_count,
        peak_count=peak_count,
        points=points,
        density=people,
        density_stride_xy=(0.0, 0.0) if density is None else grid.cell,
        regions={
            region.name: RegionCount(
                name=region.name,
                count=max(0.0, float(found.region_count[image, index])),
                density_count=None
                if density is None
                else float(found.region_density[image, index]),
                peak_count=float(found.region_peaks[image, index]) if heads else None,
            )
            for index, region in enumerate(masks.regions)
        },
        overflow=bool(found.overflow[image]),
        interval=None if interval is None else interval.of(count, density_count, peak_count),
        boxes=boxes,
    )


def _check_scores(points: NDArray[np.float32], grid: MapGrid) -> None:
    """Raise BackendError if heads have scores that are no probabilities, as without a sigmoid."""
    if len(points) and points[:, 2].max() > _HIGHEST_SCORE:
        scores = grid.heatmap or grid.levels[0][0]
        raise BackendError(
            f"output {scores.name!r} ({scores.role}) of {grid.manifest.name}: expected scores of 0 "
            f"to 1, got {points[:, 2].max():g}; is the last sigmoid in the model?"
        )


def _check_people(people: float, grid: MapGrid, density: OutputSpec) -> None:
    """Raise BackendError if a density holds fewer people than rounding can make of nobody."""
    rows, columns = grid.cells(density)
    if people < -1 - LEAST_PEOPLE_PER_CELL * rows * columns:
        raise BackendError(
            f"output {density.name!r} (density) of {grid.manifest.name}: expected 0 people or more "
            f"in a frame, got {people:.1f}; the model or its manifest is wrong"
        )


@contextmanager
def explained(manifest: Manifest) -> Iterator[None]:
    """Raise BackendError, with the output's name, for a ValueError of the counting kernels."""
    try:
        yield
    except ValueError as error:
        # The kernel knows only the role of a map that is not finite, or its level.
        place, _, rest = str(error).partition(":")
        places = {str(output.role): output for output in manifest.outputs}
        for index, level in enumerate(manifest.levels()):
            places |= {f"levels[{index}].{output.role}": output for output in level}
        if place in places:
            output = places[place]
            what = f"output {output.name!r} ({output.role}) of {manifest.name}:{rest}"
            raise BackendError(what) from error
        raise BackendError(f"the maps of {manifest.name} cannot be counted: {error}") from error


def _to_source(
    found: NDArray[np.float32], stride: int, geometry: InputGeometry
) -> NDArray[np.float32]:
    """Turn cells of a stride into source pixels, inside the frame.

    Args:
        found: (N, 3) x, y and score, or (N, 4) left, top, right and bottom.
        stride: network pixels per cell.
        geometry: how the frame was sized.
    """
    # A copy: the kernels' memory is used again for the next frame.
    places: NDArray[np.float32] = found.copy()
    factor = np.array([stride / geometry.scale[0], stride / geometry.scale[1]])
    for pair in (places[:, :2], places[:, 2:]) if found.shape[1] == 4 else (places[:, :2],):
        pair[:] = np.clip(pair * factor, 0, np.asarray(geometry.size))
    return places
