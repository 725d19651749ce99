"""How long each kernel of counting runs, as CUDA's own profiler sees it.

Events around a call, or a graph, time both kernels together. CUPTI times each; torch brings it, and
writes what it saw as a file of Chrome's trace format.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from counting import GOAL_BATCH, GOAL_SIZE, MapCase, Maps
from extension import EMULATED
from rows import NotHereError
from yardsticks import driver

CALLS = 100
# Densities of edgecount-s at 480 x 640 and at 736 x 1280 pixels, and the goals' maps.
SIZES = (60, 80), (92, 160), GOAL_SIZE


def cases(quick: bool) -> Iterator[MapCase]:
    """Yield a batch of the goals' maps and single maps, without regions and with eight.

    Each case starts the profiler anew, which takes a second or so: of float16 the batch alone.
    """
    shapes = [("float32", GOAL_BATCH, GOAL_SIZE), *(("float32", 1, size) for size in SIZES)]
    shapes += [] if quick else [("float16", GOAL_BATCH, GOAL_SIZE)]
    for (dtype, batch, size), regions in itertools.product(shapes, (8, 0)):
        yield MapCase(batch, *size, dtype, regions, listed=1)


def measure(case: MapCase) -> dict[str, Any]:
    """Measure the median microseconds of each kernel of a call, without the gaps between them.

    Raises:
        ImportError: there is no torch, or it does not load.
        NotHereError: there is no GPU, or torch's profiler sees none of its kernels.
    """
    if EMULATED:
        raise NotHereError("kernels of an emulation take no time of a GPU")
    maps = Maps(case, driver().cache_bytes)
    maps.check()
    found = kernel_us(record_trace(maps), CALLS)
    if "count_images" not in found:
        raise NotHereError("torch's profiler sees no kernel: CUPTI does not work here")
    shown = {"batch", "height", "width", "dtype", "regions"}
    known = {key: value for key, value in vars(case).items() if key in shown}
    return {**known, **{f"{name}_us": us for name, us in found.items()}}


def record_trace(maps: Maps) -> dict[str, Any]:
    """Return what torch's profiler sees of `CALLS` calls, in Chrome's trace format."""
    import torch  # noqa: PLC0415
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415

    if not torch.cuda.is_available():
        raise NotHereError("this torch finds no GPU")
    torch.zeros(1, device="cuda")  # so that it shares the context before it looks
    maps.enqueue(0)
    maps.stream.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for index in range(CALLS):
            maps.enqueue(index)
        maps.stream.synchronize()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        seen.export_chrome_trace(str(path))
        trace: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return trace


def kernel_us(trace: Mapping[str, Any], calls: int) -> dict[str, float]:
    """Return the microseconds of each kernel of a call, by its plain name, in order of launch.

    One that a call launches several times counts as often.

    Args:
        trace: Chrome's trace format, whose kernels are of the category "kernel" and have `ts` and
            `dur` in microseconds.
        calls: number of calls that were recorded.
    """
    events = [event for event in trace["traceEvents"] if event.get("cat") == "kernel"]
    durations = defaultdict[str, list[float]](list)
    for event in sorted(events, key=lambda event: event["ts"]):
        durations[plain_name(event["name"])].append(event["dur"])
    return {
        name: statistics.median(found) * max(1, round(len(found) / calls))
        for name, found in durations.items()
    }


def plain_name(kernel: str) -> str:
    """Return "read_maps" for "void edgecount::(anonymous namespace)::read_maps<1>(Plan, Cells)"."""
    head = kernel.replace("(anonymous namespace)", "")
    match = re.match(r"[^(<]*?(\w+)\s*[(<]", head + "(")
    return match[1] if match else kernel
