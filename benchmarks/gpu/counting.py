"""The counting of maps on a GPU, beside the GPU's own copies and the C++ on the CPU."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from extension import EMULATED, _ext, to_gpu
from numpy.typing import NDArray
from rows import NotHereError
from timing import gpu_us, graph_us, host_us, record
from yardsticks import driver

THRESHOLD = 0.4
GOAL_SIZE = (27, 48) if EMULATED else (270, 480)
GOAL_BATCH = 4 if EMULATED else 64
_IMAGES = 4  # different ones; batches repeat them
_SETS = 32  # most sets of maps that take turns
# Bytes that come back for an image, a region or the whole image, and a peak in the list.
_HEADER, _TALLY, _PEAK = 16, 24, 12


@dataclass(frozen=True)
class MapCase:
    """The maps of one call, in cells and all of one dtype, and the results that are asked for.

    Of `regions` masks; `fusion` blends peaks and density; `listed` peaks per image come back with
    the counts; an `offset` map moves the peaks; with `keep_density` the density comes back too, as
    `EdgeCounter` has it.
    """

    batch: int
    height: int
    width: int
    dtype: str = "float32"
    regions: int = 0
    fusion: bool = True
    listed: int = 1024
    offset: bool = False
    keep_density: bool = False

    @property
    def map_bytes(self) -> int:
        """Bytes of heatmap and density."""
        return 2 * self.batch * self.height * self.width * np.dtype(self.dtype).itemsize

    @property
    def kept_bytes(self) -> int:
        """Bytes of the float32 density that comes back."""
        return 4 * self.batch * self.height * self.width if self.keep_density else 0

    @property
    def least_bytes(self) -> int:
        """Bytes of GPU memory that must be read or written once.

        Heatmap and density, the masks for all images together, and the density that comes back.
        Offsets are read at the peaks alone, which are few.
        """
        return self.map_bytes + 4 * self.regions * self.height * self.width + self.kept_bytes

    def back_bytes(self, peaks: int) -> int:
        """Return the bytes that come back to the host with so many listed peaks in all images."""
        return (
            self.batch * (_HEADER + _TALLY * (1 + self.regions)) + _PEAK * peaks + self.kept_bytes
        )

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of `_ext.count_maps`."""
        fuse = {"fuse_cell": 8, "fuse_low": 0.7, "fuse_high": 1.0} if self.fusion else {}
        return {"threshold": THRESHOLD, **fuse}


def goal_cases() -> Iterator[MapCase]:
    """Yield the cases of the goals, then with the list, the density, an offset and regions added.

    The list of peaks and the density go over the bus to the host. `EdgeCounter` always takes both,
    and an offset and regions where its model and its user have them.
    """
    for dtype, regions in itertools.product(("float32", "float16"), (0, 8)):
        yield MapCase(GOAL_BATCH, *GOAL_SIZE, dtype, regions, listed=1)
    for batch, dtype in itertools.product((GOAL_BATCH, 1), ("float32", "float16")):
        yield MapCase(batch, *GOAL_SIZE, dtype)
        for offset, regions in ((False, 0), (True, 0), (True, 8)):
            yield MapCase(batch, *GOAL_SIZE, dtype, regions, offset=offset, keep_density=True)


def other_cases(quick: bool) -> Iterator[MapCase]:
    """Yield all other cases that are measured: sizes, batches, dtypes, regions, fusion."""
    sizes = [(60, 80), (270, 480), (1080, 1920)][: 2 if quick else 3]
    batches = [1, 64] if quick else [1, 8, 64]
    if EMULATED:
        sizes, batches = [(6, 8), GOAL_SIZE], [1, GOAL_BATCH]
    kinds = [(0, False), (0, True), (1, True), (8, True)][1 if quick else 0 :: 2 if quick else 1]
    dtypes = ("float32", "float16")
    for size, batch, dtype, kind in itertools.product(sizes, batches, dtypes, kinds):
        case = MapCase(batch, *size, dtype, *kind)
        if case not in set(goal_cases()):
            yield case


@functools.lru_cache(maxsize=2)
def crowds(height: int, width: int) -> NDArray[np.float32]:
    """Return (images, 2, H, W): heatmap and density with a head per 400 cells, and noise."""
    rng = np.random.default_rng(0)
    heatmaps = np.zeros((_IMAGES, height, width))
    heads = max(1, height * width // 400)
    for heatmap in heatmaps:
        y, x = rng.uniform(0, height, heads), rng.uniform(0, width, heads)
        for dy, dx in itertools.product(range(-6, 7), repeat=2):
            cells = (np.int64(y) + dy).clip(0, height - 1), (np.int64(x) + dx).clip(0, width - 1)
            squared = (cells[0] + 0.5 - y) ** 2 + (cells[1] + 0.5 - x) ** 2
            np.maximum.at(heatmap, cells, np.exp(-squared / 3.4))
    # With as many ties as noise in float16 and float32 has.
    heatmaps = heatmaps * 0.9 + rng.uniform(0, 1e-3, heatmaps.shape)
    return np.stack([heatmaps, heatmaps / 9], axis=1).astype(np.float32)


def host_maps(case: MapCase) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the heatmaps and densities (B, H, W) of a case."""
    images = np.arange(case.batch) % _IMAGES
    maps = crowds(case.height, case.width)[images].astype(case.dtype)
    return np.ascontiguousarray(maps[:, 0]), np.ascontiguousarray(maps[:, 1])


def stripes(case: MapCase) -> NDArray[np.float32] | None:
    """Return (R, H, W) upright regions side by side; None without regions."""
    if not case.regions:
        return None
    edges, columns = np.linspace(0, case.width, case.regions + 1)[:, None], np.arange(case.width)
    share = np.clip(columns + 1 - edges, 0, 1)  # of each column that lies right of an edge
    rows = (share[:-1] - share[1:]).astype(np.float32)
    return np.repeat(rows[:, None], case.height, axis=1)


class Maps:
    """Sets of maps of one case on the GPU, which take turns, and the counter for them.

    All sets together are four times as large as the L2 cache, as far as 32 are: what a set left in
    it is gone when its turn comes again.
    """

    def __init__(self, case: MapCase, cache_bytes: int) -> None:
        self.case, self.stream, self.masks = case, _ext.Stream(), stripes(case)
        heatmap, density = host_maps(case)
        shape = (case.batch, 2, case.height, case.width)
        offset = np.random.default_rng(3).random(shape, np.float32).astype(case.dtype)
        self.host = heatmap, offset if case.offset else None, density
        sets = max(1, min(_SETS, -(-4 * cache_bytes // case.map_bytes)))
        self.sets = [
            [None if maps is None else to_gpu(maps) for maps in self.host] for _ in range(sets)
        ]
        self.counter = _ext.MapCounter(
            case.batch,
            shape[2:],
            shape[2:],
            offset=case.offset,
            masks=self.masks,
            heatmap_dtype=case.dtype,
            density_dtype=case.dtype,
            listed=case.listed,
            keep_density=case.keep_density,
            **case.options,
        )

    def enqueue(self, index: int) -> None:
        """Count the set whose turn it is."""
        self.counter.enqueue(*self.sets[index % len(self.sets)], self.stream)

    def counted(self, index: int) -> tuple[_ext.MapCounts, NDArray[np.float32] | None]:
        """Count from maps on the GPU to counts, peaks and the kept density in Python."""
        self.enqueue(index)
        self.stream.synchronize()
        return self.counter.read(self.stream), self.counter.density

    def check(self) -> int:
        """Refuse to time counts that are not the CPU's; return the peaks listed in all images."""
        found, kept = self.counted(0)
        heatmap, offset, density = (None if a is None else a[:_IMAGES] for a in self.host)
        expected = _ext.count_maps(heatmap, offset, density, self.masks, **self.case.options)
        np.testing.assert_array_equal(found.count[:_IMAGES], expected.count)
        np.testing.assert_array_equal(found.region_count[:_IMAGES], expected.region_count)
        for got, right in zip(found.peaks, expected.peaks, strict=False):
            np.testing.assert_array_equal(got, right)
        if kept is not None:
            np.testing.assert_array_equal(kept[:_IMAGES], density.astype(np.float32))
        return int(np.minimum(found.peak_count, self.case.listed).sum())


def measure(case: MapCase, rates: dict[str, float]) -> dict[str, Any]:
    """Measure the microseconds of a case beside those of copies of its bytes, by `copy_rates`.

    Raises:
        NotHereError: the GPU is too small.
    """
    cache = driver().cache_bytes
    room = max(case.map_bytes, 4 * cache) * (2 if case.offset else 1)
    if room > 0.4 * _ext.device_memory()[1]:
        raise NotHereError("not enough memory on the GPU")
    maps = Maps(case, cache)
    back_bytes = case.back_bytes(maps.check())
    turns = itertools.count()
    us = graph_us(maps.enqueue, maps.stream, len(maps.sets))
    copy = max(rates["gigabytes_per_second"], rates["batch_gigabytes_per_second"])
    least_us = case.least_bytes / copy / 1e3
    back_us = back_bytes / rates["back_gigabytes_per_second"] / 1e3
    return {
        **asdict(case),
        "us": us,
        "cached_us": graph_us(lambda _: maps.enqueue(0), maps.stream, 1),
        "read_us": host_us(lambda: maps.counted(next(turns))),
        # Maps in the cache say nothing of the memory.
        "cold": len(maps.sets) * case.map_bytes >= 2 * cache,
        "bytes": case.least_bytes,
        "back_bytes": back_bytes,
        "gigabytes_per_second": case.least_bytes / us / 1e3,
        "share_of_copy": least_us / us,
        "share_of_copies": (least_us + back_us) / us,
    }


def measure_latency() -> dict[str, float]:
    """Measure the microseconds of a single map, and of a single cell for comparison."""
    found: dict[str, float] = {}
    for name, size in (("one_map", GOAL_SIZE), ("one_cell", (1, 1))):
        maps = Maps(MapCase(1, *size), 1)
        maps.check()
        graph, stream = record(maps.enqueue, maps.stream), maps.stream
        calls = {
            "waited": lambda m=maps, s=stream: (m.enqueue(0), s.synchronize()),
            "graph_waited": lambda g=graph, s=stream: (g.launch(s), s.synchronize()),
            "read": lambda m=maps: m.counted(0),
        }
        found[f"{name}_us"] = gpu_us(maps.enqueue, stream)
        found[f"{name}_in_graph_us"] = graph_us(maps.enqueue, stream, 16)
        found |= {f"{name}_{how}_us": host_us(call) for how, call in calls.items()}
    return found


def measure_cpu(case: MapCase) -> dict[str, Any]:
    """Measure the microseconds of `_ext.count_maps` on the CPU, on one thread."""
    heatmap, density = host_maps(case)
    masks = stripes(case)
    us = host_us(lambda: _ext.count_maps(heatmap, None, density, masks, **case.options))
    return {**asdict(case), "us": us}
