"""Random maps, how they come onto a GPU, and what has to be the same there."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext

# An emulated extension brings its own driver. Each CUDA thread is a fiber of the host there: a
# block takes a thousand times as long.
EMULATED = hasattr(ctypes.CDLL(_ext.__file__), "cuInit")
FIELDS = (
    "peak_count",
    "overflow",
    "density_sum",
    "count",
    "region_count",
    "region_density",
    "region_peaks",
)
ROLES = ("heatmap", "offset", "density")
# Few levels, so that most cells tie with a neighbour: the rule of the peaks lives on ties.
LEVELS = np.array([-0.5, -0.0, 0.0, 0.1, 0.4, 0.5, 0.5, 0.75, 1.0])


@dataclass
class Case:
    """Maps of a batch and how they are counted.

    Attributes:
        maps: heatmap (B, H, W), offset (B, 2, H, W), density (B, h, w), masks (R, h, w); some.
        options: keywords of `_ext.count_maps`.
        more: those that only `_ext.MapCounter` has.
    """

    maps: dict[str, NDArray[Any]]
    options: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def on_cpu(self) -> _ext.MapCounts:
        return _ext.count_maps(**self.maps, **self.options)


def how_many(least: int, most: int) -> int:
    """Return a test's rounds: few where slow; EDGECOUNT_GPU_ROUNDS is a share of the others.

    0 is for tools that make kernels slower still.
    """
    share = float(os.environ.get("EDGECOUNT_GPU_ROUNDS", "1"))
    if share == 0:
        return max(1, least // 10)
    return least if EMULATED else max(least, round(share * most))


def random_case(rng: np.random.Generator, side: int) -> Case:
    """Draw maps of any kind that the kernels take, of at most so many cells a side."""
    ratio = int(rng.choice([1, 1, 2, 2, 3, 4, 8]))
    batch = int(rng.choice([1, 1, 2, 3, 5]))
    fine = _size(rng, side)
    # only strides of two, four, eight may also be rounded down
    down = ratio != 3 and min(fine) >= ratio and rng.random() < 0.5
    coarse = tuple(cells // ratio if down else -(-cells // ratio) for cells in fine)
    roles = str(rng.choice(["both", "both", "both", "heatmap", "density"]))
    maps: dict[str, NDArray[Any]] = {}
    if roles != "density":
        maps["heatmap"] = random_map(rng, (batch, *fine)).astype(_dtype(rng))
        if rng.random() < 0.4:
            offset = rng.normal(0.5, 0.4, (batch, 2, *fine))
            maps["offset"] = offset.astype(maps["heatmap"].dtype)
    if roles != "heatmap":
        spread = float(rng.choice([1, 1, 100, 1e-6, -1]))
        values = random_map(rng, (batch, *coarse)) ** 4 * spread
        maps["density"] = values.astype(_dtype(rng))
    if regions := int(rng.choice([0, 0, 1, 2, 8, 33])):
        grid = coarse if "density" in maps else fine
        coverage = np.clip(rng.normal(0.5, 1, (regions, *grid)), 0, 1)
        maps["masks"] = coverage.astype(np.float32)
    return Case(maps, _options(rng), _more(rng, "density" in maps))


def random_map(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Plateaus, noise, mostly nothing, or all one value."""
    kind = rng.integers(5)
    if kind == 0:
        return rng.random(shape)
    if kind == 1:
        return rng.choice(LEVELS[-rng.integers(1, len(LEVELS) + 1) :], shape)
    if kind == 2:
        return rng.normal(0, 1, shape)
    if kind == 3:
        return rng.random(shape) * (rng.random(shape) < 0.05)
    return np.full(shape, rng.choice(LEVELS))


def graph_case(rng: np.random.Generator) -> Case:
    maps = {
        "heatmap": random_map(rng, (2, 20, 28)).astype(np.float16),
        "density": random_map(rng, (2, 10, 14)).astype(np.float32),
        "masks": np.tile(np.float32([[[0.25]], [[1.0]]]), (1, 10, 14)),
    }
    options = {"threshold": 0.3, "fuse_cell": 4, "fuse_low": 0.5, "fuse_high": 2.0}
    return Case(maps, options, {"listed": 4, "keep_density": True})


def _size(rng: np.random.Generator, side: int) -> tuple[int, int]:
    kind = rng.integers(4)
    if kind == 0:
        height, width = rng.integers(1, min(8, side), 2, endpoint=True)
    elif kind == 1:
        # long and thin, either way
        height, width = rng.permutation([rng.integers(1, 4), rng.integers(1, 4 * side)])
    else:
        height, width = rng.integers(1, side, 2, endpoint=True)
    return int(height), int(width)


def _dtype(rng: np.random.Generator) -> type:
    return np.float16 if rng.random() < 0.5 else np.float32


def _options(rng: np.random.Generator) -> dict[str, Any]:
    low, high = np.round(rng.uniform(0, 4, 2), 2)
    return {
        "window": int(rng.choice([3, 3, 5, 7])),
        "threshold": float(rng.choice([0.0, 0.1, 0.4, 0.45, 0.9, 1.0])),
        "capacity": int(rng.choice([0, 0, 1, 3, 40, 5000])),
        "unit": float(rng.choice([1.0, 100.0, 0.37])),
        "fuse_cell": int(rng.choice([0, 1, 3, 8, 8, 100, 2**40])),
        "fuse_width": int(rng.choice([0, 0, 1, 8, 13, 70])),
        "fuse_low": float(low),
        "fuse_high": float(high),
    }


def _more(rng: np.random.Generator, density: bool) -> dict[str, Any]:
    return {
        "listed": int(rng.choice([1, 7, 1024])),
        "keep_density": density and bool(rng.integers(2)),
    }


def make_counter(case: Case, **more: Any) -> _ext.MapCounter:
    """Make a counter for batches of the case's shape."""
    maps = case.maps
    heatmap, density = maps.get("heatmap"), maps.get("density")
    some = heatmap if heatmap is not None else density
    assert some is not None
    return _ext.MapCounter(
        some.shape[0],
        None if heatmap is None else heatmap.shape[1:],
        None if density is None else density.shape[1:],
        offset="offset" in maps,
        masks=maps.get("masks"),
        heatmap_dtype="float32" if heatmap is None else str(heatmap.dtype),
        density_dtype="float32" if density is None else str(density.dtype),
        **case.options,
        **case.more,
        **more,
    )


def upload(array: NDArray[Any], stream: _ext.Stream) -> _ext.DeviceArray:
    """Copy to the GPU, as dense as in NumPy."""
    target = _ext.DeviceBuffer(max(array.nbytes, 1), stream.device).array(
        array.shape, str(array.dtype)
    )
    stream.upload(target, np.ascontiguousarray(array))
    return target


def upload_apart(
    array: NDArray[Any], rng: np.random.Generator, stream: _ext.Stream
) -> _ext.DeviceArray:
    """Copy into a larger array of NaN on the GPU, at an address that fits no more than a cell.

    Whatever reads beside the map then meets a NaN.
    """
    before, after = rng.integers(0, 4, 2), rng.integers(0, 4, 2)
    rows, columns = array.shape[-2:]
    around = (*array.shape[:-2], rows + before[0] + after[0], columns + before[1] + after[1])
    host = np.full(around, np.nan, array.dtype)
    inside = (
        *(slice(0, length) for length in array.shape[:-2]),
        slice(int(before[0]), int(before[0]) + rows),
        slice(int(before[1]), int(before[1]) + columns),
    )
    host[inside] = array
    offset = int(rng.integers(0, 8)) * array.itemsize
    buffer = _ext.DeviceBuffer(host.nbytes + offset, stream.device)
    target = buffer.array(host.shape, str(array.dtype), offset)
    stream.upload(target, host)
    return target[inside]


def count(
    case: Case, rng: np.random.Generator | None = None, counter: _ext.MapCounter | None = None
) -> tuple[_ext.MapCounts, NDArray[np.float32] | None]:
    """Return a case's counts and kept density by the GPU; with ``rng``, its maps lie apart."""
    stream = _ext.Stream()
    maps = {
        role: upload(case.maps[role], stream)
        if rng is None
        else upload_apart(case.maps[role], rng, stream)
        for role in ROLES
        if role in case.maps
    }
    counter = counter or make_counter(case)
    counter.enqueue(maps.get("heatmap"), maps.get("offset"), maps.get("density"), stream)
    stream.synchronize()
    return counter.read(stream), counter.density


def assert_same(found: _ext.MapCounts, expected: _ext.MapCounts, what: str = "") -> None:
    """Assert that peaks and sums are the same, bit for bit."""
    assert len(found.peaks) == len(expected.peaks)
    for name in FIELDS:
        got, right = getattr(found, name), getattr(expected, name)
        assert got.dtype == right.dtype, f"{name} {what}"
        np.testing.assert_array_equal(got, right, f"{name} {what}")
    for image, (got, right) in enumerate(zip(found.peaks, expected.peaks, strict=True)):
        np.testing.assert_array_equal(got, right, f"peaks of image {image} {what}")


def assert_same_density(kept: NDArray[np.float32] | None, case: Case, what: str = "") -> None:
    """Assert that the density that came back is the map in people per cell, if it was kept."""
    if not case.more.get("keep_density"):
        assert kept is None, what
        return
    unit = case.options.get("unit", 1.0)
    expected = np.divide(case.maps["density"], unit, dtype=np.float32)
    np.testing.assert_array_equal(kept, expected, f"density {what}")  # type: ignore[arg-type]
