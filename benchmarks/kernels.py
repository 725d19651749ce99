"""Time the C++ kernels beside other libraries.

Counting: peaks of a 270 x 480 heatmap with about 3,000 heads (3 x 3 window) and the sum of a
density map of that size, against torch (max_pool2d, compare, nonzero, sum), SciPy (maximum_filter)
and OpenCV (dilate, compare, findNonZero, sum). The others leave out what edgecount does on top:
sub-pixel positions, scores, the order of ties, the check for NaN.

Preprocessing: a BGR frame to a normalised NCHW tensor, against NumPy, OpenCV and torch.

The libraries take turns, so that other load on the machine hits all alike; ratios are of medians.

    python benchmarks/kernels.py [--rounds 30]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy import ndimage

from edgecount import _ext


class Contender(NamedTuple):
    """A call that is timed, and the number of threads that torch and OpenCV may use for it."""

    run: Callable[[], object]
    threads: int = 1


SIZE = (270, 480)
THRESHOLD = 0.4
MEAN, SCALE = (127.5, 127.5, 127.5), (1 / 127.5, 1 / 127.5, 1 / 127.5)


def on_cache_lines(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a (1, H, W) float32 copy that starts on a cache line, as engines' outputs do."""
    room = np.empty(values.size + 16, np.float32)
    start = -(room.ctypes.data // 4) % 16
    copy = room[start : start + values.size].reshape(1, *values.shape)
    copy[0] = values
    return copy


def crowd_maps(heads: int = 3000) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a heatmap and a density map of heads on a jittered grid, each (1, 270, 480)."""
    rng = np.random.default_rng(7)
    height, width = SIZE
    step = (height * width / heads) ** 0.5
    rows, columns = np.mgrid[step / 2 : height : step, step / 2 : width : step]
    jitter = rng.uniform(-1.2, 1.2, (2, *rows.shape))
    y, x = np.mgrid[:height, :width] + 0.5
    heatmap = np.zeros(SIZE)
    for head_y, head_x in zip((rows + jitter[0]).flat, (columns + jitter[1]).flat, strict=True):
        top, left = max(int(head_y) - 6, 0), max(int(head_x) - 6, 0)
        near = np.s_[top : top + 13, left : left + 13]
        distance = (y[near] - head_y) ** 2 + (x[near] - head_x) ** 2
        heatmap[near] = np.maximum(heatmap[near], np.exp(-distance / (2 * 1.3**2)))
    # Without noise some maxima tie, and then the other libraries find two peaks for one.
    heatmap = np.clip(heatmap * 0.9 + rng.uniform(0, 1e-3, SIZE), 0, 1)
    density = heatmap * (len(rows.flat) / heatmap.sum())
    return on_cache_lines(heatmap), on_cache_lines(density)


def by_edgecount(heatmap: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the cells (y, x) of the peaks by one call."""
    counts = _ext.count_maps(heatmap, density=density, threshold=THRESHOLD)
    return np.floor(counts.peaks[0][:, 1::-1]).astype(np.int64)


def by_torch(heatmap: torch.Tensor, density: torch.Tensor) -> torch.Tensor:
    """Return the cells (y, x) of the peaks by max pooling, and compute the sum."""
    pooled = torch.nn.functional.max_pool2d(heatmap, 3, stride=1, padding=1)
    cells = ((pooled == heatmap) & (heatmap > THRESHOLD))[0, 0].nonzero()
    density.sum().item()
    return cells


def by_scipy(heatmap: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the cells (y, x) of the peaks by a maximum filter, and compute the sum."""
    pooled = ndimage.maximum_filter(heatmap, size=3, mode="constant", cval=-np.inf)
    cells = np.argwhere((pooled == heatmap) & (heatmap > THRESHOLD))
    density.sum()
    return cells


def by_opencv(heatmap: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the cells (y, x) of the peaks by dilation, and compute the sum."""
    dilated = cv2.dilate(heatmap, np.ones((3, 3), np.uint8))
    equal = cv2.compare(heatmap, dilated, cv2.CMP_EQ)
    above = cv2.compare(heatmap, THRESHOLD, cv2.CMP_GT)
    cells = cv2.findNonZero(cv2.bitwise_and(equal, above))
    cv2.sumElems(density)
    return cells.reshape(-1, 2)[:, ::-1]  # OpenCV 4 gives (N, 1, 2), OpenCV 5 (N, 2)


def time_by_turns(
    contenders: dict[str, Contender], rounds: int, calls: int
) -> dict[str, list[float]]:
    """Return the microseconds of every call, the contenders taking turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            torch.set_num_threads(contender.threads)
            cv2.setNumThreads(contender.threads)
            contender.run()  # warms the caches that the contender before has cooled
            for _ in range(calls):
                start = time.perf_counter()
                contender.run()
                times[name].append((time.perf_counter() - start) * 1e6)
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    """Print a table with ratios to the first contender."""
    print(f"\n{title}\n{'library':34}{'median us':>11}{'least us':>11}{'ratio':>8}{'of least':>10}")
    first = next(iter(times.values()))
    for name, values in times.items():
        median, least = statistics.median(values), min(values)
        ratio, ratio_of_least = median / statistics.median(first), least / min(first)
        print(f"{name:34}{median:11.1f}{least:11.1f}{ratio:8.1f}{ratio_of_least:10.1f}")


def counting() -> dict[str, Contender]:
    """Return the contenders in counting, after a check that all find the same peaks."""
    heatmap, density = crowd_maps()
    tensors = torch.from_numpy(heatmap)[None], torch.from_numpy(density)[None]
    image = heatmap[0], density[0]
    cells = by_edgecount(heatmap, density)
    for other in (by_torch(*tensors).numpy(), by_scipy(*image), by_opencv(*image)):
        np.testing.assert_array_equal(cells, other)
    size = f"{SIZE[0]} x {SIZE[1]}"
    print(f"heatmap and density of {size}, {len(cells)} peaks, the same by all libraries")
    half = {"heatmap": heatmap.astype(np.float16), "density": density.astype(np.float16)}
    count = partial(_ext.count_maps, threshold=THRESHOLD)
    contenders = {
        "edgecount": Contender(partial(count, heatmap, density=density)),
        "edgecount, float16": Contender(partial(count, **half)),
        "edgecount, 7 x 7 window": Contender(partial(count, heatmap, density=density, window=7)),
        "SciPy": Contender(lambda: by_scipy(*image)),
    }
    for threads in (1, 2):
        contenders[f"torch, {threads} threads"] = Contender(lambda: by_torch(*tensors), threads)
        contenders[f"OpenCV, {threads} threads"] = Contender(lambda: by_opencv(*image), threads)
    return contenders


def preprocessing(size: tuple[int, int], resized: tuple[int, int]) -> dict[str, Contender]:
    """Return the contenders from a BGR frame to the network's input."""
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    out = np.empty((3, *resized), np.float32)
    mean, scale = np.array(MEAN, np.float32), np.array(SCALE, np.float32)

    def by_numpy() -> object:
        rgb = (frame[..., ::-1].astype(np.float32) - mean) * scale
        return np.ascontiguousarray(rgb.transpose(2, 0, 1))

    def opencv() -> object:
        return cv2.dnn.blobFromImage(frame, SCALE[0], resized[::-1], MEAN, swapRB=True)

    def by_interpolate() -> object:
        planes = torch.from_numpy(frame).permute(2, 0, 1)[None].float().flip(1)
        small = torch.nn.functional.interpolate(planes, resized, mode="bilinear", antialias=True)
        return (small - 127.5) * (1 / 127.5)

    def edgecount() -> None:
        _ext.preprocess(frame, out, *resized, *resized, MEAN, SCALE, swap_rb=True, pad_value=0.0)

    contenders = {"edgecount": Contender(edgecount), "OpenCV, no antialias": Contender(opencv)}
    if size == resized:
        return contenders | {"NumPy": Contender(by_numpy)}
    return contenders | {"torch, antialias": Contender(by_interpolate)}


def main() -> None:
    """Time counting and preprocessing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=30, help="turns of every library")
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, SciPy {scipy.__version__}, OpenCV {cv2.__version__}")
    report("peaks and density sum", time_by_turns(counting(), rounds, calls=20))
    for size, resized in (((480, 640), (480, 640)), ((1080, 1920), (576, 1024))):
        title = f"preprocess {size[0]} x {size[1]} to {resized[0]} x {resized[1]}"
        report(title, time_by_turns(preprocessing(size, resized), max(rounds // 4, 1), calls=2))


if __name__ == "__main__":
    main()
