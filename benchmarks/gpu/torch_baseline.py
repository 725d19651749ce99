"""The counting of maps in torch, on the same maps and GPU in the same run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from counting import THRESHOLD, MapCase, Maps
from extension import _ext
from rows import NotHereError
from timing import gpu_us, graph_us
from yardsticks import driver

_ROOM = 1024  # peaks: the lists of a graph have room for this many more, rounded up


class TorchCounter:
    """Peaks by max_pool2d, comparison and nonzero, and sums per image and region.

    It leaves out what edgecount does on top: sub-pixel positions, the order of ties, peaks per
    region, the check for NaN. `sets` of heatmap and density (B, H, W) on the GPU take turns; masks
    are (R, H, W) on the GPU, None without regions.
    """

    def __init__(self, sets: list[tuple[Any, Any]], masks: Any | None) -> None:
        import torch  # noqa: PLC0415

        self._torch, self.sets = torch, sets
        self._masks = None if masks is None else masks.flatten(1).T.to(sets[0][1].dtype)

    def is_peak(self, heatmap: Any) -> Any:
        """Return (B, H, W) bool."""
        pooled = self._torch.nn.functional.max_pool2d(heatmap, 3, stride=1, padding=1)
        return (pooled == heatmap) & (heatmap > THRESHOLD)

    def sums(self, density: Any) -> Any:
        """Return (B, 1 + R) float32, of each image and its regions."""
        total = density.sum((1, 2), dtype=self._torch.float32)[:, None]
        if self._masks is None:
            return total
        return self._torch.cat([total, density.flatten(1) @ self._masks], 1)

    def on_gpu(self, index: int) -> tuple[Any, Any]:
        """Return peaks (N, 3) and sums; `nonzero` makes the host wait, as it has to know N."""
        heatmap, density = self.sets[index % len(self.sets)]
        return self.is_peak(heatmap).nonzero(), self.sums(density)

    def on_host(self, index: int) -> tuple[Any, Any]:
        """Return peaks and sums as NumPy arrays."""
        peaks, sums = self.on_gpu(index)
        return peaks.cpu().numpy(), sums.cpu().numpy()

    def recordable(self) -> Callable[[int], None]:
        """Return a call that does not wait, and copies its results to pinned memory."""
        torch = self._torch
        most = max(int(self.is_peak(heatmap).sum()) for heatmap, _ in self.sets)
        room = (most // _ROOM + 1) * _ROOM
        peaks, sums = self.on_gpu(0)
        listed = torch.empty((room, 3), dtype=peaks.dtype, pin_memory=True)
        summed = torch.empty(sums.shape, dtype=sums.dtype, pin_memory=True)

        def work(index: int) -> None:
            heatmap, density = self.sets[index % len(self.sets)]
            found = torch.nonzero_static(self.is_peak(heatmap), size=room, fill_value=-1)
            listed.copy_(found, non_blocking=True)
            summed.copy_(self.sums(density), non_blocking=True)

        return work


def measure_torch(case: MapCase, skipped: list[str]) -> dict[str, Any]:
    """Measure edgecount and torch, each timed in the same three manners, in microseconds.

    "read": called one by one, from the call until all is in NumPy, by torch.utils.benchmark.
    "eager": called one after the other, by the GPU's clock. "graph": recorded, with the copies of
    the results to pinned memory; if torch cannot record its work, `skipped` gets the reason.

    Raises:
        ImportError: there is no torch, or it does not load.
        NotHereError: it has no CUDA, or counts otherwise.
    """
    import torch  # noqa: PLC0415
    from torch.utils.benchmark import Timer  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise NotHereError("this torch finds no GPU")

    def read_us(call: Callable[[int], object]) -> float:
        turns = itertools.count()
        names = {"call": call, "turns": turns}
        median: float = Timer("call(next(turns))", globals=names).blocked_autorange().median
        return median * 1e6

    maps = Maps(case, driver().cache_bytes)
    maps.check()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        sets = [(torch.from_dlpack(h), torch.from_dlpack(d)) for h, _, d in maps.sets]
        masks = None if maps.masks is None else torch.from_numpy(maps.masks).cuda()
        usual = TorchCounter(sets, masks)
        check_same(maps, usual)
        torch_read = read_us(usual.on_host)
        torch_eager = gpu_us(usual.on_gpu, _ext.Stream(handle=side.cuda_stream))
        torch_graph = torch_graph_us(usual, side, skipped)
    read = read_us(maps.counted)
    graph = graph_us(maps.enqueue, maps.stream, len(maps.sets))
    return {
        **asdict(case),
        "read_us": read,
        "torch_read_us": torch_read,
        "ratio": torch_read / read,
        "eager_us": gpu_us(maps.enqueue, maps.stream),
        "torch_eager_us": torch_eager,
        "graph_us": graph,
        "torch_graph_us": torch_graph,
        "graph_ratio": None if torch_graph is None else torch_graph / graph,
    }


def check_same(maps: Maps, usual: TorchCounter) -> None:
    """Compare peaks and sums, as far as float16's sums and ties let them be the same.

    Raises:
        NotHereError: they differ, so that there is nothing to compare.
    """
    ours, _ = maps.counted(0)
    peaks, sums = usual.on_host(0)
    right = [ours.density_sum[:, None], ours.region_density]
    close = np.allclose(sums, np.concatenate(right, 1), rtol=0.01)
    if not close or abs(len(peaks) - int(ours.peak_count.sum())) > 0.05 * len(peaks):
        raise NotHereError("torch counts otherwise")


def torch_graph_us(usual: TorchCounter, side: Any, skipped: list[str]) -> float | None:
    """Return the microseconds of a call in a CUDA graph of one for each set; None without one."""
    import torch  # noqa: PLC0415

    calls = len(usual.sets)
    try:
        work = usual.recordable()
        work(0)
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            for index in range(calls):
                work(index)
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        skipped.append(f"torch as a CUDA graph: {str(error).splitlines()[0]}")
        return None
    return gpu_us(lambda _: graph.replay(), _ext.Stream(handle=side.cuda_stream)) / calls
