"""The counting of maps on a GPU, beside the usual way in torch and the C++ on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gpu_extension import EMULATED, NotHereError, _ext
from gpu_timing import busy_us, record, recorded_us, waited_us
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgecount._ext import DeviceArray, MapCounter, Stream

THRESHOLD = 0.4
GOAL_SIZE = (27, 48) if EMULATED else (270, 480)
GOAL_BATCH = 4 if EMULATED else 64
_IMAGES = 4  # different ones; batches repeat them
_SETS = 32  # most sets of maps that take turns


@dataclass(frozen=True)
class Shape:
    """What is counted in one call.

    Attributes:
        batch: images.
        height: of both maps in cells.
        width: of both maps in cells.
        dtype: of both maps.
        regions: masks.
        fusion: whether peaks and density are blended.
        listed: peaks per image that come back with the counts.
    """

    batch: int
    height: int
    width: int
    dtype: str = "float32"
    regions: int = 0
    fusion: bool = True
    listed: int = 1024

    @property
    def map_bytes(self) -> int:
        """Bytes of both maps."""
        return 2 * self.batch * self.height * self.width * np.dtype(self.dtype).itemsize

    @property
    def least_bytes(self) -> int:
        """Bytes that have to be read once: the maps, and the masks for all images together."""
        return self.map_bytes + self.regions * self.height * self.width * 4

    @property
    def options(self) -> dict[str, Any]:
        """Keywords of `_ext.count_maps`."""
        fuse = {"fuse_cell": 8, "fuse_low": 0.7, "fuse_high": 1.0} if self.fusion else {}
        return {"threshold": THRESHOLD, **fuse}


def shapes(quick: bool) -> Iterator[Shape]:
    """All that are measured."""
    sizes = [(60, 80), (270, 480), (1080, 1920)][: 2 if quick else 3]
    batches = [1, 64] if quick else [1, 8, 64]
    if EMULATED:
        sizes, batches = [(6, 8), GOAL_SIZE], [1, GOAL_BATCH]
    ways = [(0, False), (0, True), (1, True), (8, True)]
    for height, width in sizes:
        for batch in batches:
            for dtype in ("float32", "float16"):
                for regions, fusion in ways[1::2] if quick else ways:
                    yield Shape(batch, height, width, dtype, regions, fusion)
    # The list of peaks goes over the bus to the host; without it the kernels are left.
    yield Shape(GOAL_BATCH, *GOAL_SIZE, listed=1)
    yield Shape(GOAL_BATCH, *GOAL_SIZE, dtype="float16", listed=1)


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


class Maps:
    """Sets of maps on the GPU, of one shape, and the counter for them.

    Args:
        shape: of the maps.
        host: (images, 2, H, W) maps.
        cache_bytes: of the GPU. Sets that take turns are four times as large, as far as 32 sets
            are: what a set left in the cache is gone when its turn comes again.
    """

    def __init__(self, shape: Shape, host: NDArray[np.float32], cache_bytes: int) -> None:
        self.shape, self.stream = shape, _ext.Stream()
        self.host = host.astype(shape.dtype)
        self.masks = stripes(shape)
        number = max(1, min(_SETS, -(-4 * cache_bytes // shape.map_bytes)))
        self.sets = [self._set() for _ in range(number)]
        self.counter = self._counter()
        self.stream.synchronize()

    def _set(self) -> tuple[DeviceArray, DeviceArray]:
        shape = self.shape
        size = (shape.batch, shape.height, shape.width)
        pair = []
        for role in range(2):
            target = _ext.DeviceBuffer(shape.map_bytes // 2).array(size, shape.dtype)
            for image in range(shape.batch):
                source = np.ascontiguousarray(self.host[image % len(self.host), role])
                self.stream.upload(target[image], source)
            pair.append(target)
        return pair[0], pair[1]

    def _counter(self) -> MapCounter:
        shape = self.shape
        size = shape.height, shape.width
        return _ext.MapCounter(
            shape.batch,
            size,
            size,
            masks=self.masks,
            heatmap_dtype=shape.dtype,
            density_dtype=shape.dtype,
            listed=shape.listed,
            **shape.options,
        )

    def enqueue(self, index: int) -> None:
        """Count the maps whose turn it is."""
        heatmap, density = self.sets[index % len(self.sets)]
        self.counter.enqueue(heatmap, None, density, self.stream)

    def check(self) -> None:
        """Refuse to time what counts otherwise than the CPU does."""
        self.enqueue(0)
        self.stream.synchronize()
        found = self.counter.read(self.stream)
        images = min(len(self.host), self.shape.batch)
        maps = (np.ascontiguousarray(self.host[:images, role]) for role in range(2))
        expected = _ext.count_maps(next(maps), None, next(maps), self.masks, **self.shape.options)
        np.testing.assert_array_equal(found.count[:images], expected.count)
        np.testing.assert_array_equal(found.region_count[:images], expected.region_count)
        for got, right in zip(found.peaks, expected.peaks, strict=False):
            np.testing.assert_array_equal(got, right)


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


def measure(shape: Shape, cache_bytes: int, copy_rate: float) -> dict[str, Any]:
    """Microseconds of a shape, beside what a copy of its bytes would take.

    Args:
        shape: what is counted.
        cache_bytes: of the GPU.
        copy_rate: gigabytes per second.
    """
    with_cold = Maps(shape, host_maps(shape), cache_bytes)
    with_cold.check()
    calls = len(with_cold.sets)
    cold = recorded_us(with_cold.enqueue, with_cold.stream, calls)
    warm = recorded_us(lambda _: with_cold.enqueue(0), with_cold.stream, 1)
    return {
        **asdict(shape),
        "bytes": shape.least_bytes,
        "us": cold,
        "cached_us": warm,
        "cold": calls * shape.map_bytes >= 2 * cache_bytes,
        "gigabytes_per_second": shape.least_bytes / cold / 1e3,
        "share_of_copy": shape.least_bytes / cold / 1e3 / copy_rate,
    }


def host_maps(shape: Shape) -> NDArray[np.float32]:
    """(images, 2, H, W) maps for a shape."""
    return _crowds(shape.height, shape.width)[: shape.batch]


@functools.lru_cache(maxsize=1)
def _crowds(height: int, width: int) -> NDArray[np.float32]:
    return np.stack([crowd_maps(height, width, seed) for seed in range(_IMAGES)])


def measure_latency(stream: Stream) -> dict[str, float]:
    """Microseconds of a single image, and of a single cell for comparison."""
    found: dict[str, float] = {}
    for name, size in (("one_cell", (1, 1)), ("one_map", GOAL_SIZE)):
        shape = Shape(1, *size)
        maps = Maps(shape, host_maps(shape), 1)
        graph = record(maps.enqueue, maps.stream)
        wait = maps.stream.synchronize
        found[f"{name}_us"] = busy_us(maps.enqueue, maps.stream)
        found[f"{name}_in_graph_us"] = recorded_us(maps.enqueue, maps.stream, 16)
        found[f"{name}_waited_us"] = waited_us(lambda m=maps: m.enqueue(0), wait)
        found[f"{name}_graph_waited_us"] = waited_us(
            lambda g=graph: g.launch(stream), stream.synchronize
        )
        found[f"{name}_read_us"] = waited_us(lambda m=maps: whole(m))
    return found


def whole(maps: Maps) -> object:
    """From maps on the GPU to counts in Python."""
    maps.enqueue(0)
    maps.stream.synchronize()
    return maps.counter.read(maps.stream)


def measure_cpu(shape: Shape) -> dict[str, Any]:
    """Microseconds of `_ext.count_maps` on the CPU, on one thread."""
    host = host_maps(shape).astype(shape.dtype)
    images = np.resize(np.arange(len(host)), shape.batch)
    heatmap, density = (np.ascontiguousarray(host[images, role]) for role in range(2))
    masks = stripes(shape)
    us = waited_us(lambda: _ext.count_maps(heatmap, None, density, masks, **shape.options))
    return {**asdict(shape), "us": us}


def measure_torch(shape: Shape, cache_bytes: int) -> dict[str, Any]:
    """The usual way in torch on the same maps, in the same run.

    max_pool2d, compare, nonzero, and the density's sums per region; without what edgecount does on
    top: sub-pixel positions, the order of ties, peaks per region, the check for NaN. `nonzero`
    makes the host wait for the GPU, as it has to know how many there are.

    Raises:
        ImportError: there is no torch.
        NotHereError: it has no CUDA.
    """
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise NotHereError("this torch finds no GPU")
    maps = Maps(shape, host_maps(shape), cache_bytes)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        usual = _torch_way(torch, maps)
        torch_us = busy_us(usual, _ext.Stream(handle=side.cuda_stream))
        torch_waited = waited_us(lambda: usual(0), side.synchronize)
    us = recorded_us(maps.enqueue, maps.stream, len(maps.sets))
    waited = waited_us(lambda: whole(maps))
    return {
        **asdict(shape),
        "us": us,
        "torch_us": torch_us,
        "ratio": torch_us / us,
        "waited_us": waited,
        "torch_waited_us": torch_waited,
        "waited_ratio": torch_waited / waited,
    }


def _torch_way(torch: Any, maps: Maps) -> Callable[[int], object]:
    sets = [tuple(torch.from_dlpack(array) for array in pair) for pair in maps.sets]
    masks = None if maps.masks is None else torch.from_numpy(maps.masks).cuda().flatten(1).T
    masks = masks if masks is None else masks.to(sets[0][0].dtype)

    def usual(index: int) -> object:
        heatmap, density = sets[index % len(sets)]
        pooled = torch.nn.functional.max_pool2d(heatmap, 3, stride=1, padding=1)
        peaks = ((pooled == heatmap) & (heatmap > THRESHOLD)).nonzero()
        total = density.sum((1, 2), dtype=torch.float32)
        return peaks, total, None if masks is None else density.flatten(1) @ masks

    return usual
