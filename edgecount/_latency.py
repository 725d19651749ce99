"""Measuring how long counters and their engines take, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.counter import EdgeCounter

STAGES = ("preprocess", "infer", "postprocess", "total")
# Seconds between the turns of two engines: threads of the one spin for a while after its run, in
# the way of the other.
PAUSE = 0.02
QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class Latency:
    """Milliseconds of each run, by stage.

    Attributes:
        stages: name to the runs' times; ``total`` is the whole call, as its caller waits for it.
        batch: number of frames in a run.
        ran: (height, width) of the network's input in pixels; where a frame is cut into tiles, of
            the whole plane.
        count: people that were counted in the frame; None: it was not counted.
    """

    stages: dict[str, list[float]]
    batch: int = 1
    ran: tuple[int, int] | None = None
    count: float | None = None

    def quantiles(self) -> dict[str, dict[str, float]]:
        """Return ``p50``, ``p95``, ``p99`` and ``mean`` of each stage, in milliseconds."""
        return {name: summarise(times) for name, times in self.stages.items()}

    @property
    def throughput(self) -> float:
        """Frames per second, with one run after the other."""
        return 1000.0 * self.batch / float(np.mean(self.stages["total"]))


def summarise(times: Sequence[float]) -> dict[str, float]:
    """Return ``p50``, ``p95``, ``p99`` and ``mean`` of times, in their unit."""
    found = np.percentile(times, QUANTILES)
    ends = {f"p{share}": float(value) for share, value in zip(QUANTILES, found, strict=True)}
    return {**ends, "mean": float(np.mean(times))}


def measure_latency(
    counters: Sequence[EdgeCounter],
    size: tuple[int, int],
    *,
    runs: int = 50,
    warmup: int = 3,
    frame: NDArray[np.uint8] | None = None,
) -> list[Latency]:
    """Count one frame again and again, the counters by turns.

    What slows the machine for a while then slows all of them, so that their ratio holds.

    Args:
        counters: the counters, at least one.
        size: (height, width) of the frame in pixels.
        runs: number of timed frames of each counter.
        warmup: number of frames before them, whose times are dropped.
        frame: the frame, (H, W, 3) uint8 BGR; None: noise.
    """
    if frame is None:
        frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    times: list[dict[str, list[float]]] = [{name: [] for name in STAGES} for _ in counters]
    counts = [0.0] * len(counters)
    for run in range(-warmup, runs):
        for place, (counter, stages) in enumerate(zip(counters, times, strict=True)):
            if len(counters) > 1:
                time.sleep(PAUSE)
            start = time.perf_counter()
            result = counter.count(frame)
            total = (time.perf_counter() - start) * 1000
            counts[place] = result.count
            if run >= 0:
                stages["total"].append(total)
                for name in STAGES[:-1]:
                    stages[name].append(result.timings[name])  # type: ignore[literal-required]
    return [
        Latency(stages, ran=_input_size(counter, size), count=count)
        for counter, stages, count in zip(counters, times, counts, strict=True)
    ]


def measure_throughput(
    counters: Sequence[EdgeCounter], frame: NDArray[np.uint8], *, runs: int = 50, rounds: int = 3
) -> list[float]:
    """Return how many frames a second each counter counts of several at once, by turns.

    Args:
        counters: the counters, at least one.
        frame: the frame, (H, W, 3) uint8 BGR, of which several are counted.
        runs: number of frames of each counter, about.
        rounds: number of turns; the best one counts.
    """
    best = [0.0] * len(counters)
    for _ in range(rounds):
        for place, counter in enumerate(counters):
            # Neither the first frames nor the last keep all lanes busy.
            frames = [frame] * max(4 * counter.backend.lanes, runs // rounds)
            time.sleep(PAUSE)
            start = time.perf_counter()
            counter.count_batch(frames)
            best[place] = max(best[place], len(frames) / (time.perf_counter() - start))
    return best


def measure_batches(
    counters: Sequence[EdgeCounter],
    size: tuple[int, int],
    batch: int,
    *,
    runs: int = 50,
    warmup: int = 3,
) -> list[Latency]:
    """Time the engine alone on several frames in one call, the counters by turns.

    Args:
        counters: the counters, at least one.
        size: (height, width) of a frame in pixels.
        batch: number of frames in a call.
        runs: number of timed calls of each engine.
        warmup: number of calls before them, whose times are dropped.

    Raises:
        BackendError: an engine does not take so many frames.
    """
    times: list[list[float]] = [[] for _ in counters]
    with ExitStack() as stack:
        calls = [_engine_call(stack, counter, size, batch) for counter in counters]
        for run in range(-warmup, runs):
            for call, taken in zip(calls, times, strict=True):
                start = time.perf_counter()
                call()
                if run >= 0:
                    taken.append((time.perf_counter() - start) * 1000)
    return [
        Latency({"infer": taken, "total": taken}, batch, _input_size(counter, size))
        for counter, taken in zip(counters, times, strict=True)
    ]


def _input_size(counter: EdgeCounter, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) of the network's input for a frame of a (height, width)."""
    from edgecount.runtime.backends.device import DeviceBackend
    from edgecount.runtime.pipeline.preprocess import input_geometry

    backend, spec = counter.backend, counter.manifest.input
    limits = backend.sizes if isinstance(backend, DeviceBackend) else None
    return input_geometry(size[::-1], spec, counter.max_side, limits).padded


def _engine_call(
    stack: ExitStack, counter: EdgeCounter, size: tuple[int, int], batch: int
) -> Callable[[], object]:
    """Return a call that runs the engine on noise; on a GPU input and maps stay there."""
    from edgecount.runtime.backends.device import DeviceBackend

    backend, spec = counter.backend, counter.manifest.input
    shape = (batch, 3, *_input_size(counter, size))
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.scale))
    image = (pixels.astype(np.float32) - mean) * scale
    if not isinstance(backend, DeviceBackend):
        return lambda: backend.infer({spec.name: image})
    worker = stack.enter_context(backend.open_worker())
    bound = worker.bind(image.shape)
    worker.stream.upload(bound.input, np.ascontiguousarray(image, bound.input.dtype))
    worker.stream.synchronize()

    def call() -> None:
        worker.enqueue()
        worker.stream.synchronize()

    return call


def gpu_bytes(device: int = 0) -> int | None:
    """Return the bytes of a GPU that are in use, by whatever program; None without that GPU."""
    from edgecount import _ext

    if device >= _ext.cuda_device_count():
        return None
    free, total = _ext.device_memory(device)
    return total - free
