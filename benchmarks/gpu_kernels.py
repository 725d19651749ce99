"""How fast the CUDA kernels are, beside the GPU's own copy, torch and the CPU.

    python benchmarks/gpu_kernels.py [--quick] [--json FILE]

Counting and preprocessing are recorded as CUDA graphs, so that what is timed is the GPU; what is
"read" or "waited" is called one by one, and timed by the host's clock. The maps take turns with
others, so that they come from memory and not from the cache, where "cached" does not say otherwise;
in front of a real engine they are somewhere between. Bytes are those that must be read and written
once, and their share is of what a copy moves, in the same run.

Every result is compared with the CPU's before it is timed. What the goals are about comes first,
and each row is written to FILE at once.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Any

import gpu_counting
import gpu_preprocessing
from gpu_counting import GOAL_BATCH, GOAL_SIZE, Shape
from gpu_extension import EMULATED, _ext, require_gpu
from gpu_rows import Numbers
from gpu_timing import copy_rates, launch_costs, open_driver
from gpu_torch import measure_torch

from edgecount.runtime.cuda.driver import Driver, ask_driver

# For torch and the CPU, which need not be measured in every shape; the goals' first.
COMPARED = [
    Shape(batch, *GOAL_SIZE, dtype=dtype, regions=regions, fusion=False)
    for batch in (GOAL_BATCH, 1)
    for regions in (8, 0)
    for dtype in ("float32", "float16")
]


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer shapes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    require_gpu()
    numbers = Numbers(options.json, {"device": device_name()})
    measure(options.quick, numbers)
    numbers.show_skipped()


def device_name() -> str:
    """The GPU's name, or that there is none."""
    if EMULATED:
        return f"none: emulated on {platform.machine()}"
    answer = ask_driver()
    assert isinstance(answer, Driver)
    return answer.devices[0].name


def measure(quick: bool, numbers: Numbers) -> None:
    """Measure one part after the other, those that the goals are about first."""
    driver, stream = open_driver(), _ext.Stream()
    rates = copy_rates(driver, stream, Shape(GOAL_BATCH, *GOAL_SIZE).map_bytes)
    numbers.put("copy", rates)
    costs = launch_costs(driver, stream) | gpu_counting.measure_latency(stream, driver)
    numbers.put("launch", costs)

    def count(shape: Shape) -> dict[str, Any]:
        return gpu_counting.measure(shape, driver, rates)

    def beside_torch(shape: Shape) -> dict[str, Any]:
        return measure_torch(shape, driver, numbers.found["skipped"])

    numbers.rows("count", "counting, the goals' maps", gpu_counting.goal_shapes(), count)
    numbers.rows("torch", "beside torch", COMPARED[:2] if quick else COMPARED, beside_torch)
    jobs = gpu_preprocessing.jobs(quick)
    numbers.rows("preprocess", "preprocessing", jobs, gpu_preprocessing.measure)
    compared = COMPARED[:1] if quick else COMPARED
    numbers.rows("cpu", "counting on the CPU", compared, gpu_counting.measure_cpu)
    numbers.rows("count", "counting", gpu_counting.other_shapes(quick), count)


if __name__ == "__main__":
    main()
