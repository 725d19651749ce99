"""Time EdgeCounter.count beside the bare engine call.

    python benchmarks/end_to_end.py [--model MODEL] [--size 640x480] [--rounds 100]

Both run in turn in one process on the same frame, so that what else the machine does falls on both
alike; the times are medians. The bare call gets a tensor that is ready, and its maps are not read.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime

from edgecount import EdgeCounter
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.models.open import open_model

# The threads of a session spin for a while after its run, in the way of the other session.
PAUSE = 0.03


def main() -> None:
    """Time both by turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--size", default="640x480", help="of the frame, WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    counter = EdgeCounter(options.model, backend="onnxruntime", threads=options.threads)
    bare = bare_call(options.model, width, height, options.threads)
    times: dict[str, list[float]] = {"bare": [], "count": []}
    steps: dict[str, list[float]] = {"preprocess": [], "infer": [], "postprocess": []}
    for _ in range(options.rounds):
        time.sleep(PAUSE)
        times["bare"].append(timed(bare))
        time.sleep(PAUSE)
        times["count"].append(timed(lambda: counter.count(frame)))
        time.sleep(PAUSE)
        for step, milliseconds in counter.count(frame).timings.items():
            steps[step].append(float(milliseconds))  # type: ignore[arg-type]
    without, count = (statistics.median(values) for values in times.values())
    print(f"{counter.manifest.name}, {width} x {height}, {options.rounds} rounds")
    print(f"  InferenceSession.run  {without:8.2f} ms")
    print(f"  EdgeCounter.count     {count:8.2f} ms   x {count / without:.3f}")
    for name, values in steps.items():
        print(f"    {name:<18}  {statistics.median(values):8.2f} ms")


def bare_call(model: str, width: int, height: int, threads: int | None) -> Callable[[], object]:
    """Return a call of InferenceSession.run on a tensor that is ready."""
    found = open_model(model)
    session = open_session(str(found.path), threads)
    multiple = found.manifest.input.multiple
    padded = (-(-side // multiple) * multiple for side in (height, width))
    tensor = np.random.default_rng(1).uniform(-1, 1, (1, 3, *padded)).astype(np.float32)
    return lambda: session.run(None, {found.manifest.input.name: tensor})


def open_session(model: str | bytes, threads: int | None) -> onnxruntime.InferenceSession:
    """Open a session with ONNX Runtime's defaults and, if given, a number of threads."""
    settings = onnxruntime.SessionOptions()
    if threads:
        settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
