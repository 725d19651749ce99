"""The counting of a detector's boxes on a GPU, beside the C++ on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from extension import EMULATED, _ext, to_gpu
from numpy.typing import NDArray
from timing import graph_us, host_us

STRIDES = (8, 16, 32)
THRESHOLD = 0.4


@dataclass(frozen=True)
class BoxCase:
    """Maps of a detector with one box a cell, for inputs of a size in pixels.

    Of `heads` heads each has candidates in the nine cells around it, whose boxes differ a little.
    """

    batch: int
    height: int
    width: int
    heads: int
    dtype: str = "float32"


def cases(quick: bool) -> Iterator[BoxCase]:
    """Yield a scene with few heads, a busy one and a crowd, for one image and for a batch."""
    if EMULATED:
        yield BoxCase(2, 64, 96, 5)
        return
    for batch, heads in itertools.product((1, 8), (20, 300, 2000)):
        for dtype in ("float32",) if quick else ("float32", "float16"):
            yield BoxCase(batch, 736, 1280, heads, dtype)


def levels(case: BoxCase) -> list[tuple[NDArray[Any], NDArray[Any], int]]:
    """Return the scores, boxes and stride of each level, of one image for all of the batch."""
    rng = np.random.default_rng(0)
    maps = []
    for stride in STRIDES:
        shape = case.height // stride, case.width // stride
        maps.append((rng.uniform(0, THRESHOLD, shape), rng.uniform(1, 1.5, (4, *shape)), stride))
    for _ in range(case.heads):
        scores = maps[int(rng.choice(len(STRIDES), p=(0.7, 0.2, 0.1)))][0]
        y, x = (int(rng.integers(1, side - 1)) for side in scores.shape)
        scores[y - 1 : y + 2, x - 1 : x + 2] = rng.uniform(THRESHOLD, 1, (3, 3))
    return [
        (
            np.repeat(scores[None, None], case.batch, 0).astype(case.dtype),
            np.repeat(boxes[None], case.batch, 0).astype(case.dtype),
            stride,
        )
        for scores, boxes, stride in maps
    ]


def measure(case: BoxCase) -> dict[str, Any]:
    """Measure the microseconds of a case, once its boxes are found to be the CPU's.

    `us` is in a CUDA graph by the GPU's clock, `read_us` from the call until all is on the host,
    `cpu_us` the C++ on one thread of the CPU for the whole batch.
    """
    host, stream = levels(case), _ext.Stream()
    shapes = [(*scores.shape[1:], stride, case.dtype, case.dtype) for scores, _, stride in host]
    counter = _ext.BoxCounter(case.batch, shapes, threshold=THRESHOLD)
    maps = [(to_gpu(scores), to_gpu(boxes)) for scores, boxes, _ in host]

    def counted() -> _ext.MapCounts:
        counter.enqueue(maps, stream)
        stream.synchronize()
        return counter.read(stream)

    found, expected = counted(), _ext.count_boxes(host, threshold=THRESHOLD)
    for got, right in zip(found.boxes, expected.boxes, strict=True):
        np.testing.assert_array_equal(got, right)
    return {
        **asdict(case),
        "candidates": sum(int((scores[0] > THRESHOLD).sum()) for scores, _, _ in host),
        "kept": int(found.peak_count[0]),
        "us": graph_us(lambda _: counter.enqueue(maps, stream), stream, 4),
        "read_us": host_us(counted),
        "cpu_us": host_us(lambda: _ext.count_boxes(host, threshold=THRESHOLD)),
    }
