"""The counting of maps in the usual way in torch, on the same maps and GPU in the same run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from gpu_counting import THRESHOLD, Maps, Shape
from gpu_extension import NotHereError, _ext
from gpu_timing import busy_us, recorded_us, waited_us

if TYPE_CHECKING:
    from gpu_timing import Driver, EmulatedDriver

_ROOM = 1024  # peaks: the lists of a graph have room for this many more, rounded up


class UsualWay:
    """max_pool2d, compare, nonzero, and the density's sums per image and region.

    Without what edgecount does on top: sub-pixel positions, the order of ties, peaks per region,
    the check for NaN.

    Args:
        sets: pairs of heatmap and density (B, H, W), which take turns.
        masks: (R, H, W); None without regions.
    """

    def __init__(self, sets: list[tuple[Any, Any]], masks: Any | None) -> None:
        self.sets = sets
        self.masks = None if masks is None else masks.flatten(1).T.to(sets[0][1].dtype)

    def is_peak(self, heatmap: Any) -> Any:
        """(B, H, W) bool."""
        import torch  # noqa: PLC0415

        pooled = torch.nn.functional.max_pool2d(heatmap, 3, stride=1, padding=1)
        return (pooled == heatmap) & (heatmap > THRESHOLD)

    def sums(self, density: Any) -> Any:
        """(B, 1 + R) of each image and its regions, float32."""
        import torch  # noqa: PLC0415

        total = density.sum((1, 2), dtype=torch.float32)[:, None]
        if self.masks is None:
            return total
        return torch.cat([total, density.flatten(1) @ self.masks], 1)

    def on_gpu(self, index: int) -> tuple[Any, Any]:
        """Peaks (N, 3) and sums; `nonzero` makes the host wait, as it has to know N."""
        heatmap, density = self.sets[index % len(self.sets)]
        return self.is_peak(heatmap).nonzero(), self.sums(density)

    def on_host(self, index: int) -> tuple[Any, Any]:
        """The same in NumPy."""
        peaks, sums = self.on_gpu(index)
        return peaks.cpu().numpy(), sums.cpu().numpy()

    def recordable(self) -> Callable[[int], None]:
        """The same without waiting: as many peaks as there are, and some more, to pinned memory."""
        import torch  # noqa: PLC0415

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


def measure_torch(
    shape: Shape, driver: Driver | EmulatedDriver, skipped: list[str]
) -> dict[str, Any]:
    """Both ways, each timed in the same three manners, in microseconds.

    "read": called one by one, from the call until all is in NumPy. "eager": called one after the
    other, by the GPU's clock. "graph": recorded, with the copies of the results to pinned memory.

    Args:
        shape: what is counted.
        driver: of the GPU.
        skipped: gets the reason if torch cannot record its way.

    Raises:
        ImportError: there is no torch, or it does not load.
        NotHereError: it has no CUDA, or counts otherwise.
    """
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise NotHereError("this torch finds no GPU")
    maps = Maps(shape, driver, driver.cache_bytes)
    maps.check()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        sets = [
            (torch.from_dlpack(heatmap), torch.from_dlpack(density))
            for heatmap, density in maps.sets.pairs
        ]
        masks = None if maps.masks is None else torch.from_numpy(maps.masks).cuda()
        usual = UsualWay(sets, masks)
        check_same(maps, usual)
        turns = itertools.count()
        torch_read = waited_us(lambda: usual.on_host(next(turns)))
        torch_eager = busy_us(usual.on_gpu, _ext.Stream(handle=side.cuda_stream))
        torch_graph = graph_us(usual, side, skipped)
    turns = itertools.count()
    read = waited_us(lambda: maps.counted(next(turns)))
    graph = recorded_us(maps.enqueue, maps.stream, len(maps))
    return {
        **asdict(shape),
        "read_us": read,
        "torch_read_us": torch_read,
        "ratio": torch_read / read,
        "eager_us": busy_us(maps.enqueue, maps.stream),
        "torch_eager_us": torch_eager,
        "graph_us": graph,
        "torch_graph_us": torch_graph,
        "graph_ratio": None if torch_graph is None else torch_graph / graph,
    }


def check_same(maps: Maps, usual: UsualWay) -> None:
    """Compare peaks and sums, as far as float16's sums and ties let them be the same.

    Raises:
        NotHereError: they are not the same, and so no comparison.
    """
    maps.counted(0)
    ours = maps.counter.read(maps.stream)
    peaks, sums = usual.on_host(0)
    right = [ours.density_sum[:, None], ours.region_density]
    close = np.allclose(sums, np.concatenate(right, 1), rtol=0.01)
    if not close or abs(len(peaks) - int(ours.peak_count.sum())) > 0.05 * len(peaks):
        raise NotHereError("torch counts otherwise")


def graph_us(usual: UsualWay, side: Any, skipped: list[str]) -> float | None:
    """Microseconds of a call in a CUDA graph of one for each set; None where torch cannot."""
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
    return busy_us(lambda _: graph.replay(), _ext.Stream(handle=side.cuda_stream)) / calls
