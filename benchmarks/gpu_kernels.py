"""How fast the CUDA kernels are, beside the GPU's own copy, torch and the CPU.

    python benchmarks/gpu_kernels.py [--quick] [--json FILE]

Counting and preprocessing are recorded as CUDA graphs, so that what is timed is the GPU. The maps
take turns with others, so that they come from memory and not from the cache, where "cached" does
not say otherwise; in front of a real engine they are somewhere between. Bytes are those that must
be read and written once, and their share is of what a copy moves, in the same run.

Every result is compared with the CPU's before it is timed.
"""

from __future__ import annotations

import argparse
import collections
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import gpu_counting
import gpu_preprocessing
from gpu_counting import GOAL_BATCH, GOAL_SIZE, Shape
from gpu_extension import EMULATED, NotHereError, _ext, require_gpu
from gpu_timing import copy_rate, launch_costs, open_driver

from edgecount.runtime.cuda_driver import Driver, ask_driver

Item = TypeVar("Item")

# For torch and the CPU, which need not be measured in every shape.
COMPARED = [
    Shape(batch, *GOAL_SIZE, dtype=dtype, regions=regions, fusion=False)
    for batch in (1, GOAL_BATCH)
    for dtype in ("float32", "float16")
    for regions in (0, 8)
]


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    require_gpu()
    found: dict[str, Any] = {"device": device_name(), "skipped": []}
    for name, value in measure(options.quick, found["skipped"]):
        found[name] = value
        show(name, value)
        if options.json:  # after each part, so that what fails later leaves something
            options.json.write_text(json.dumps(found, indent=1) + "\n")
    for reason in found["skipped"]:
        print(f"skipped: {reason}")


def device_name() -> str:
    """The GPU's name, or that there is none."""
    if EMULATED:
        return f"none: emulated on {platform.machine()}"
    answer = ask_driver()
    assert isinstance(answer, Driver)
    return answer.devices[0].name


def measure(quick: bool, skipped: list[str]) -> Iterator[tuple[str, Any]]:
    """Name and numbers of one part after the other; what cannot be measured goes to `skipped`."""
    driver, stream = open_driver(), _ext.Stream()
    copy = copy_rate(driver, stream)
    yield "copy", copy
    rate, cache = copy["gigabytes_per_second"], driver.cache_bytes
    yield "launch", launch_costs(driver, stream) | gpu_counting.measure_latency(stream)

    def count(shape: Shape) -> dict[str, Any]:
        if max(shape.map_bytes, 4 * cache) > 0.4 * _ext.device_memory()[0]:
            raise NotHereError("not enough memory on the GPU")
        return gpu_counting.measure(shape, cache, rate)

    yield "count", each("counting", gpu_counting.shapes(quick), count, skipped)
    compared = COMPARED[1::2] if quick else COMPARED

    def beside_torch(shape: Shape) -> dict[str, Any]:
        return gpu_counting.measure_torch(shape, cache)

    yield "torch", each("torch", compared, beside_torch, skipped)
    yield "cpu", each("CPU", compared, gpu_counting.measure_cpu, skipped)
    jobs = gpu_preprocessing.jobs(quick)
    yield "preprocess", each("preprocessing", jobs, gpu_preprocessing.measure, skipped)


def each(
    name: str, items: Iterable[Item], work: Callable[[Item], dict[str, Any]], skipped: list[str]
) -> list[dict[str, Any]]:
    """A row for each item; why there is none goes to `skipped`, each reason once."""
    rows, reasons = [], collections.Counter[str]()
    for item in items:
        try:
            rows.append(work(item))
        except (ImportError, NotHereError) as error:  # noqa: PERF203 (the work takes far longer)
            reasons[str(error)] += 1
    skipped += [f"{name}, {number} shapes: {reason}" for reason, number in reasons.items()]
    return rows


def show(name: str, value: Any) -> None:
    """Print a part as a table."""
    print(f"\n{name}")
    if isinstance(value, Mapping):
        for key, number in value.items():
            print(f"  {key:32}{number:14.2f}")
    elif value:
        print_rows(value)


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with the same keys, a column for each."""
    lines = [list(rows[0])] + [[cell(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  " + "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def cell(value: object) -> str:
    """A value in a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    if isinstance(value, (list, tuple)):
        return "x".join(str(part) for part in value)
    return str(value)


if __name__ == "__main__":
    main()
