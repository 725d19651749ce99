"""The results that the kernels must give, written for reading: NumPy and loops, no speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


@dataclass
class Reference:
    """The fields of ``edgecount._ext.MapCounts``."""

    peaks: list[NDArray[np.float32]]
    peak_count: NDArray[np.int64]
    overflow: NDArray[np.bool_]
    density_sum: NDArray[np.float64]
    count: NDArray[np.float64]
    region_count: NDArray[np.float64]
    region_density: NDArray[np.float64]
    region_peaks: NDArray[np.float64]


# Cells around a peak in which it must stand out, and the steps down to the last near tie.
AROUND = 31
NEAR_STEPS = {"float32": 1024, "float16": 2}


def stands_out(heatmap: Array, y: int, x: int) -> bool:
    """Whether no path of near ties leads from a peak to a cell that beats it."""
    bits = heatmap.view(np.int32 if heatmap.dtype == np.float32 else np.int16).astype(np.int64)
    score = bits[y, x]
    least = max(score - NEAR_STEPS[heatmap.dtype.name], 1)
    height, width = bits.shape
    waiting, seen = [(y, x)], {(y, x)}
    while waiting:
        near_y, near_x = waiting.pop()
        cell = bits[near_y, near_x]
        if cell > score or (cell == score and (near_y, near_x) < (y, x)):
            return False
        for place in ((near_y + dy, near_x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
            inside = 0 <= place[0] < height and 0 <= place[1] < width
            close = max(abs(place[0] - y), abs(place[1] - x)) <= AROUND
            if inside and close and place not in seen and bits[place] >= least:
                seen.add(place)
                waiting.append(place)
    return True


def find_peaks(heatmap: Array, window: int, threshold: float) -> list[tuple[int, int]]:
    """All (y, x) of the peaks of an (H, W) map, in raster order."""
    values = heatmap.astype(np.float32)
    height, width = values.shape
    radius = window // 2

    def is_peak(y: int, x: int) -> bool:
        value = values[y, x]
        if not value > np.float32(threshold):
            return False
        for other_y in range(max(y - radius, 0), min(y + radius + 1, height)):
            for other_x in range(max(x - radius, 0), min(x + radius + 1, width)):
                other = values[other_y, other_x]
                if (other_y, other_x) < (y, x) and not value > other:
                    return False
                if (other_y, other_x) > (y, x) and value < other:
                    return False
        return stands_out(heatmap, y, x)

    return [(y, x) for y in range(height) for x in range(width) if is_peak(y, x)]


def parabola(before: np.float32, middle: np.float32, after: np.float32) -> np.float32:
    """Where the parabola through three samples peaks, within half a cell of the middle one."""
    left, right = before - middle, after - middle
    shift = np.float32(0.5) * (left - right) / (left + right)
    return np.float32(0) if np.isnan(shift) else np.clip(shift, np.float32(-0.5), np.float32(0.5))


def refine(heatmap: Array, offset: Array | None, y: int, x: int) -> tuple[np.float32, ...]:
    """Continuous x, y and the score of the peak in cell (y, x), all arithmetic in float32."""
    values = heatmap.astype(np.float32)
    height, width = values.shape
    shift_x = shift_y = np.float32(0)
    if offset is not None:
        dx, dy = offset.astype(np.float32)[:, y, x]
        return np.float32(x) + dx, np.float32(y) + dy, values[y, x]
    with np.errstate(invalid="ignore", over="ignore"):
        if 0 < x < width - 1:
            shift_x = parabola(values[y, x - 1], values[y, x], values[y, x + 1])
        if 0 < y < height - 1:
            shift_y = parabola(values[y - 1, x], values[y, x], values[y + 1, x])
    return np.float32(x + 0.5) + shift_x, np.float32(y + 0.5) + shift_y, values[y, x]


def density_weight(density: float, low: float, high: float) -> float:
    """How far a fusion cell trusts its density: RAZ-Net's blend as a smoothstep."""
    if high <= low:
        return 1.0 if density > low else 0.0
    t = min(max((density - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


def count_maps(
    heatmap: Array | None = None,
    offset: Array | None = None,
    density: Array | None = None,
    masks: NDArray[np.float32] | None = None,
    *,
    window: int = 3,
    threshold: float = 0.4,
    capacity: int = 0,
    unit: float = 1.0,
    fuse_cell: int = 0,
    fuse_width: int = 0,
    fuse_low: float = 0.0,
    fuse_high: float = 0.0,
    ratio: int = 1,
) -> Reference:
    """Do all that ``edgecount._ext.count_maps`` does; the ratio of the two grids is given."""
    some = density if density is not None else heatmap
    assert some is not None
    batch, height, width = some.shape
    regions = np.ones((0, height, width)) if masks is None else masks.astype(np.float64)
    weights = np.concatenate([np.ones((1, height, width)), regions])
    fuse = fuse_cell > 0 and heatmap is not None and density is not None
    side_y, side_x = max(height, 1), max(width, 1)
    if fuse:
        side_y, side_x = fuse_cell, fuse_width or fuse_cell

    result = Reference(
        peaks=[],
        peak_count=np.zeros(batch, np.int64),
        overflow=np.zeros(batch, np.bool_),
        density_sum=np.zeros(batch),
        count=np.zeros(batch),
        region_count=np.zeros((batch, len(regions))),
        region_density=np.zeros((batch, len(regions))),
        region_peaks=np.zeros((batch, len(regions))),
    )
    for image in range(batch):
        peak_map = np.zeros((height, width))
        points: list[tuple[np.float32, ...]] = []
        if heatmap is not None:
            cells = find_peaks(heatmap[image], window, threshold)
            flow = None if offset is None else offset[image]
            points = [refine(heatmap[image], flow, y, x) for y, x in cells]
            for y, x in cells:
                peak_map[min(y // ratio, height - 1), min(x // ratio, width - 1)] += 1
        kept = points[:capacity] if capacity else points
        result.peaks.append(np.array(kept, np.float32).reshape(-1, 3))
        result.peak_count[image] = len(points)
        result.overflow[image] = len(points) > len(kept)

        people = np.zeros((height, width))
        if density is not None:
            people = density[image].astype(np.float64) / unit
        totals = np.zeros((3, len(weights)))
        for y in range(0, height, side_y):
            for x in range(0, width, side_x):
                cell = np.s_[y : y + side_y, x : x + side_x]
                area = people[cell].size
                trust = 0.0 if density is None else 1.0
                if fuse:
                    local = people[cell].sum() * side_y * side_x / area
                    trust = density_weight(local, fuse_low, fuse_high)
                for i, weight in enumerate(weights):
                    by_density = (people[cell] * weight[cell]).sum()
                    by_peaks = (peak_map[cell] * weight[cell]).sum()
                    fused = trust * by_density + (1 - trust) * by_peaks
                    totals[:, i] += fused, by_density, by_peaks
        result.count[image], result.density_sum[image] = totals[0, 0], totals[1, 0]
        result.region_count[image] = totals[0, 1:]
        result.region_density[image] = totals[1, 1:]
        result.region_peaks[image] = totals[2, 1:]
    return result


def triangle_weights(in_size: int, out_size: int) -> NDArray[np.float64]:
    """(out_size, in_size) weights of the antialiased bilinear filter, half-pixel centres."""
    scale = in_size / out_size
    support = max(scale, 1.0)
    centres = (np.arange(out_size) + 0.5) * scale
    samples = np.arange(in_size) + 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(samples - centres[:, None]) / support)
    return weights / weights.sum(axis=1, keepdims=True)


def preprocess(
    image: NDArray[np.uint8],
    out_size: tuple[int, int],
    resized: tuple[int, int],
    mean: tuple[float, float, float],
    scale: tuple[float, float, float],
    *,
    swap_rb: bool,
    pad_value: float,
) -> NDArray[np.float64]:
    """(3, out_height, out_width): resized, normalised, at the top left of the padding."""
    channels = image[..., ::-1] if swap_rb else image
    rows = triangle_weights(image.shape[0], resized[0])
    columns = triangle_weights(image.shape[1], resized[1])
    planes = rows @ channels.transpose(2, 0, 1).astype(np.float64) @ columns.T
    out = np.full((3, *out_size), pad_value)
    normalised = (planes - np.array(mean)[:, None, None]) * np.array(scale)[:, None, None]
    out[:, : resized[0], : resized[1]] = normalised
    return out
