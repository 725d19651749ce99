"""The counting of maps on a GPU, beside the GPU's own copies and the C++ on the CPU."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gpu_extension import EMULATED, NotHereError, _ext
from gpu_timing import busy_us, record, recorded_us, waited_us
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gpu_timing import Driver, EmulatedDriver

    from edgecount._ext import DeviceArray, MapCounter, Stream

THRESHOLD = 0.4
GOAL_SIZE = (27, 48) if EMULATED else (270, 480)
GOAL_BATCH = 4 if EMULATED else 64
_IMAGES = 4  # different ones; batches repeat them
_SETS = 32  # most sets of maps that take turns
# Bytes that come back for an image, a region or the whole image, and a peak in the list.
_HEADER, _TALLY, _PEAK = 16, 24, 12


@dataclass(frozen=True)
class Shape:
    """What is counted in one call.

    Attributes:
        batch: images.
        height: of the maps in cells.
        width: of the maps in cells.
        dtype: of the maps.
        regions: masks.
        fusion: whether peaks and density are blended.
        listed: peaks per image that come back with the counts.
        offset: whether an offset map moves the peaks.
        keep_density: whether the density comes back, too, as `EdgeCounter` has it.
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
    def cells(self) -> int:
        """Of a map, of all images."""
        return self.batch * self.height * self.width

    @property
    def map_bytes(self) -> int:
        """Bytes of heatmap and density."""
        return 2 * self.cells * np.dtype(self.dtype).itemsize

    @property
    def least_bytes(self) -> int:
        """Bytes of the GPU's memory that have to be read or written once.

        Heatmap and density, the masks for all images together, and the density that comes back. Of
        the offsets only those of peaks are read, which are few.
        """
        kept = 4 * self.cells if self.keep_density else 0
        return self.map_bytes + self.regions * self.height * self.width * 4 + kept

    def back_bytes(self, peaks: int) -> int:
        """Bytes that come back to the host, given how many peaks are in the lists of all images."""
        kept = 4 * self.cells if self.keep_density else 0
        return self.batch * (_HEADER + _TALLY * (1 + self.regions)) + _PEAK * peaks + kept

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of `_ext.count_maps`."""
        fuse = {"fuse_cell": 8, "fuse_low": 0.7, "fuse_high": 1.0} if self.fusion else {}
        return {"threshold": THRESHOLD, **fuse}


def goal_shapes() -> Iterator[Shape]:
    """What the goal is about, and the same with more and more of what else there can be.

    The list of peaks and the density go over the bus to the host. `EdgeCounter` always takes both,
    and an offset and regions where its model and its user have them.
    """
    for dtype in ("float32", "float16"):
        yield Shape(GOAL_BATCH, *GOAL_SIZE, dtype, listed=1)
    for batch in (GOAL_BATCH, 1):
        for dtype in ("float32", "float16"):
            plain = Shape(batch, *GOAL_SIZE, dtype)
            yield plain
            for offset, regions in ((False, 0), (True, 0), (True, 8)):
                yield Shape(batch, *GOAL_SIZE, dtype, regions, offset=offset, keep_density=True)


def other_shapes(quick: bool) -> Iterator[Shape]:
    """All others that are measured."""
    sizes = [(60, 80), (270, 480), (1080, 1920)][: 2 if quick else 3]
    batches = [1, 64] if quick else [1, 8, 64]
    if EMULATED:
        sizes, batches = [(6, 8), GOAL_SIZE], [1, GOAL_BATCH]
    ways = [(0, False), (0, True), (1, True), (8, True)]
    measured = set(goal_shapes())
    for height, width in sizes:
        for batch in batches:
            for dtype in ("float32", "float16"):
                for regions, fusion in ways[1::2] if quick else ways:
                    shape = Shape(batch, height, width, dtype, regions, fusion)
                    if shape not in measured:
                        yield shape


def crowd_maps(height: int, width: int, seed: int) -> NDArray[np.float32]:
    """A heatmap and a density (2, H, W) of a head per 400 cells, with as many ties as noise has."""
    rng = np.random.default_rng(seed)
    heatmap = np.zeros((height, width), np.float32)
    for _ in range(max(1, height * width // 400)):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        top, left = max(int(y) - 6, 0), max(int(x) - 6, 0)
        rows, columns = np.ogrid[top : min(top + 13, height), left : min(left + 13, width)]
        bump = np.exp(-((rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2) / 3.4)
        near = np.s_[top : top + 13, left : left + 13]
        heatmap[near] = np.maximum(heatmap[near], bump)
    heatmap = (heatmap * 0.9 + rng.uniform(0, 1e-3, heatmap.shape)).astype(np.float32)
    return np.stack([heatmap, heatmap / 9])


class MapSets:
    """Sets of maps on the GPU, which take turns.

    A few images are uploaded; the others are copies of theirs on the GPU.

    Args:
        batch: images.
        host: (images, 2, H, W) heatmap and density.
        driver: makes the copies.
        cache_bytes: of the GPU. All sets together are four times as large, as far as 32 are: what
            a set left in the cache is gone when its turn comes again.
    """

    def __init__(
        self,
        batch: int,
        host: NDArray[Any],
        driver: Driver | EmulatedDriver,
        cache_bytes: int,
    ) -> None:
        self.batch, self.host, self._driver, self._stream = batch, host, driver, _ext.Stream()
        self._places = (
            np.random.default_rng(3)
            .uniform(0, 1, (len(host), 2, *host.shape[2:]))
            .astype(host.dtype)
        )
        self.bytes = batch * host[0].nbytes
        number = max(1, min(_SETS, -(-4 * cache_bytes // self.bytes)))
        self.pairs = [(self._fill(host[:, 0]), self._fill(host[:, 1])) for _ in range(number)]
        self._stream.synchronize()

    @functools.cached_property
    def offsets(self) -> list[DeviceArray]:
        """(B, 2, H, W) for each set."""
        filled = [self._fill(self._places) for _ in self.pairs]
        self._stream.synchronize()
        return filled

    @property
    def host_offsets(self) -> NDArray[Any]:
        """(images, 2, H, W) of the images on the host."""
        return self._places

    def _fill(self, images: NDArray[Any]) -> DeviceArray:
        """A batch of images."""
        shape = (self.batch, *images.shape[1:])
        size = self.batch * images[0].nbytes
        target = _ext.DeviceBuffer(size).array(shape, images.dtype.name)
        own = min(self.batch, len(images))
        for image in range(own):
            self._stream.upload(target[image], np.ascontiguousarray(images[image]))
        self._stream.synchronize()
        for image in range(own, self.batch):
            self._driver.copy(target[image], target[image % own], self._stream)
        return target


class Maps:
    """Sets of maps of one shape, and the counter for them.

    Args:
        shape: of the maps.
        driver: of the GPU.
        cache_bytes: see `MapSets`.
    """

    def __init__(self, shape: Shape, driver: Driver | EmulatedDriver, cache_bytes: int) -> None:
        self.shape, self.stream = shape, _ext.Stream()
        size = shape.batch, shape.height, shape.width
        self.sets = _sets(*size, shape.dtype, driver, cache_bytes)
        self.masks = stripes(shape)
        self.counter = self._counter()
        self._offsets = self.sets.offsets if shape.offset else [None] * len(self)

    def __len__(self) -> int:
        """Sets that take turns."""
        return len(self.sets.pairs)

    def _counter(self) -> MapCounter:
        shape = self.shape
        size = shape.height, shape.width
        return _ext.MapCounter(
            shape.batch,
            size,
            size,
            offset=shape.offset,
            masks=self.masks,
            heatmap_dtype=shape.dtype,
            density_dtype=shape.dtype,
            listed=shape.listed,
            keep_density=shape.keep_density,
            **shape.options,
        )

    def enqueue(self, index: int) -> None:
        """Count the maps whose turn it is."""
        turn = index % len(self)
        heatmap, density = self.sets.pairs[turn]
        self.counter.enqueue(heatmap, self._offsets[turn], density, self.stream)

    def counted(self, index: int) -> object:
        """From maps on the GPU to counts, peaks and, where it is kept, the density in Python."""
        self.enqueue(index)
        self.stream.synchronize()
        return self.counter.read(self.stream), self.counter.density

    def check(self) -> int:
        """Refuse to time what counts otherwise than the CPU does.

        Returns:
            How many peaks are in the lists of all images.
        """
        self.counted(0)
        found = self.counter.read(self.stream)
        host, shape = self.sets.host, self.shape
        images = min(len(host), shape.batch)
        heatmap, density = (np.ascontiguousarray(host[:images, role]) for role in range(2))
        offset = self.sets.host_offsets[:images] if shape.offset else None
        expected = _ext.count_maps(heatmap, offset, density, self.masks, **shape.options)
        np.testing.assert_array_equal(found.count[:images], expected.count)
        np.testing.assert_array_equal(found.region_count[:images], expected.region_count)
        for got, right in zip(found.peaks, expected.peaks, strict=False):
            np.testing.assert_array_equal(got, right)
        if shape.keep_density:
            kept = self.counter.density
            assert kept is not None
            np.testing.assert_array_equal(kept[:images], density.astype(np.float32))
        return int(np.minimum(found.peak_count, shape.listed).sum())


@functools.lru_cache(maxsize=1)
def _sets(
    batch: int,
    height: int,
    width: int,
    dtype: str,
    driver: Driver | EmulatedDriver,
    cache_bytes: int,
) -> MapSets:
    # Kept for the next shape, which often differs in nothing that the maps are made of.
    return MapSets(batch, _crowds(height, width)[:batch].astype(dtype), driver, cache_bytes)


def stripes(shape: Shape) -> NDArray[np.float32] | None:
    """(R, H, W) upright regions side by side."""
    if not shape.regions:
        return None
    edges = np.linspace(0, shape.width, shape.regions + 1)
    columns = np.arange(shape.width)
    rows = np.clip(columns + 1 - edges[:-1, None], 0, 1) - np.clip(
        columns + 1 - edges[1:, None], 0, 1
    )
    return np.repeat(rows[:, None].astype(np.float32), shape.height, axis=1)


def measure(
    shape: Shape, driver: Driver | EmulatedDriver, rates: dict[str, float]
) -> dict[str, Any]:
    """Microseconds of a shape, beside what copies of its bytes would take.

    Args:
        shape: what is counted.
        driver: of the GPU.
        rates: of `copy_rates`.

    Raises:
        NotHereError: the GPU is too small.
    """
    cache = driver.cache_bytes
    room = max(shape.map_bytes, 4 * cache) * (2 if shape.offset else 1)
    if room > 0.4 * _ext.device_memory()[1]:
        raise NotHereError("not enough memory on the GPU")
    maps = Maps(shape, driver, cache)
    back_bytes = shape.back_bytes(maps.check())
    turns = itertools.count()
    us = recorded_us(maps.enqueue, maps.stream, len(maps))
    copy = max(rates["gigabytes_per_second"], rates["batch_gigabytes_per_second"])
    least_us = shape.least_bytes / copy / 1e3
    back_us = back_bytes / rates["back_gigabytes_per_second"] / 1e3
    return {
        **asdict(shape),
        "us": us,
        "cached_us": recorded_us(lambda _: maps.enqueue(0), maps.stream, 1),
        "read_us": waited_us(lambda: maps.counted(next(turns))),
        "cold": len(maps) * shape.map_bytes >= 2 * cache,
        "bytes": shape.least_bytes,
        "back_bytes": back_bytes,
        "gigabytes_per_second": shape.least_bytes / us / 1e3,
        "share_of_copy": least_us / us,
        "share_of_copies": (least_us + back_us) / us,
    }


@functools.lru_cache(maxsize=2)
def _crowds(height: int, width: int) -> NDArray[np.float32]:
    """(images, 2, H, W) maps."""
    return np.stack([crowd_maps(height, width, seed) for seed in range(_IMAGES)])


def measure_latency(stream: Stream, driver: Driver | EmulatedDriver) -> dict[str, float]:
    """Microseconds of a single image, and of a single cell for comparison."""
    found: dict[str, float] = {}
    for name, size in (("one_map", GOAL_SIZE), ("one_cell", (1, 1))):
        maps = Maps(Shape(1, *size), driver, 1)
        maps.check()
        graph = record(maps.enqueue, maps.stream)
        found[f"{name}_us"] = busy_us(maps.enqueue, maps.stream)
        found[f"{name}_in_graph_us"] = recorded_us(maps.enqueue, maps.stream, 16)
        wait = maps.stream.synchronize
        found[f"{name}_waited_us"] = waited_us(lambda m=maps: m.enqueue(0), wait)
        found[f"{name}_graph_waited_us"] = waited_us(
            lambda g=graph: g.launch(stream), stream.synchronize
        )
        found[f"{name}_read_us"] = waited_us(lambda m=maps: m.counted(0))
    return found


def measure_cpu(shape: Shape) -> dict[str, Any]:
    """Microseconds of `_ext.count_maps` on the CPU, on one thread."""
    host = _crowds(shape.height, shape.width)[: shape.batch].astype(shape.dtype)
    images = np.resize(np.arange(len(host)), shape.batch)
    heatmap, density = (np.ascontiguousarray(host[images, role]) for role in range(2))
    masks = stripes(shape)
    us = waited_us(lambda: _ext.count_maps(heatmap, None, density, masks, **shape.options))
    return {**asdict(shape), "us": us}
