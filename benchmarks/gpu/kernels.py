"""How fast the CUDA kernels are, beside the GPU's own copy, torch and the CPU.

    python benchmarks/gpu/kernels.py [--quick] [--json FILE]

Every result is compared with the CPU's before it is timed. The rows that the goals look at come
first; FILE, and a file of tables beside it, are written anew with each row.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import alone
import counting
import detecting
import preprocessing
from counting import GOAL_BATCH, GOAL_SIZE, MapCase
from extension import _ext, require_gpu
from rows import Numbers
from torch_baseline import measure_torch
from yardsticks import copy_rates, launch_costs

ABOUT = """\
## Kernels

"µs" are of CUDA graphs, by the GPU's clock; "eager" by the same clock, without a graph. "read" and
"waited" are called one by one and timed by the host's clock, until all is in NumPy or done. Maps
take turns with others, so that they come from memory, but for "cached"; in front of a real engine
they are somewhere between. Bytes are those that must be read and written once, and their share is
of what a copy moves in the same run: of the faster of the two on the device, or of that and of the
copy of the bytes that go back to the host, one after the other. Each kernel of counting alone is
timed by CUPTI, which torch brings, without the gaps between kernels."""

# Cases for torch and the CPU, which need not be measured in all; the goals' first.
COMPARED = [
    MapCase(batch, *GOAL_SIZE, dtype=dtype, regions=regions, fusion=False)
    for batch, regions, dtype in itertools.product((GOAL_BATCH, 1), (8, 0), ("float32", "float16"))
]


def main() -> None:
    """Measure one part after the other, print it, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    numbers = Numbers(options.json, {"device": require_gpu()}, ABOUT)
    quick, stream = options.quick, _ext.Stream()
    rates = copy_rates(stream, MapCase(GOAL_BATCH, *GOAL_SIZE).map_bytes)
    numbers.values("copy", "Copies on the device and back to the host", rates)
    numbers.values("launch", "Launches", launch_costs(stream) | counting.measure_latency())

    def count(cases: Iterable[MapCase]) -> None:
        numbers.rows("count", "Counting", cases, lambda case: counting.measure(case, rates))

    def beside_torch(case: MapCase) -> dict[str, Any]:
        return measure_torch(case, numbers.found["skipped"])

    count(counting.goal_cases())
    numbers.rows("torch", "Counting, beside torch", COMPARED[: 2 if quick else 8], beside_torch)
    numbers.rows("alone", "The kernels of counting, each alone", alone.cases(quick), alone.measure)
    cases = preprocessing.cases(quick)
    numbers.rows("preprocess", "Preprocessing", cases, preprocessing.measure)
    numbers.rows("boxes", "Counting boxes", detecting.cases(quick), detecting.measure)
    title = "Counting by the C++ on the CPU, one thread"
    numbers.rows("cpu", title, COMPARED[: 1 if quick else 8], counting.measure_cpu)
    count(counting.other_cases(quick))
    numbers.print_skipped()


if __name__ == "__main__":
    main()
