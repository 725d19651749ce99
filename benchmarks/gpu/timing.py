"""Times of work on a GPU: by its own clock, with events in a stream, and by the host's."""

from __future__ import annotations

import math
import statistics
import timeit
from collections.abc import Callable

from extension import EMULATED, _ext

ROUNDS = 3 if EMULATED else 9
_ROUND_US = 1.0 if EMULATED else 5000.0  # stream time that a round takes at least
_ROUND_SECONDS = 1e-6 if EMULATED else 0.02  # host time of a round, and so of warming up


def gpu_us(work: Callable[[int], object], stream: _ext.Stream) -> float:
    """Return the microseconds that a call keeps the stream busy, when many follow each other.

    `work` puts its work into the stream, given the number of the call.
    """
    work(0)
    stream.synchronize()
    calls = 1
    while (one := _round(work, stream, calls)) * calls < _ROUND_US and calls < 2**14:
        calls = min(max(2 * calls, math.ceil(1.2 * _ROUND_US / max(one, 0.1))), 2**14)
    return statistics.median(_round(work, stream, calls) for _ in range(ROUNDS))


def _round(work: Callable[[int], object], stream: _ext.Stream, calls: int) -> float:
    begin, end = _ext.Event(timing=True), _ext.Event(timing=True)
    begin.record(stream)
    for index in range(calls):
        work(index)
    end.record(stream)
    end.synchronize()
    return begin.elapsed_ms(end) * 1000 / calls


def graph_us(work: Callable[[int], object], stream: _ext.Stream, calls: int) -> float:
    """Return the microseconds of a call, of several recorded as one CUDA graph.

    The host's share, which `gpu_us` may include, is left out.
    """
    graph = record(work, stream, calls)
    return gpu_us(lambda _: graph.launch(stream), stream) / calls


def record(work: Callable[[int], object], stream: _ext.Stream, calls: int = 1) -> _ext.Graph:
    """Record several calls as one CUDA graph, after one that warms up."""
    work(0)
    stream.synchronize()
    stream.begin_capture()
    try:
        for index in range(calls):
            work(index)
    finally:
        graph = stream.end_capture()
    return graph


def host_us(call: Callable[[], object]) -> float:
    """Return the microseconds of a call that waits for its work, by the host's clock."""
    timer, warmup = timeit.Timer(call), 3
    calls = max(1, int(_ROUND_SECONDS * warmup / timer.timeit(warmup)))
    timer.timeit(calls)  # warms up as long as a round takes
    return statistics.median(timer.repeat(ROUNDS, calls)) * 1e6 / calls
