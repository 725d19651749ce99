"""Time EdgeCounter.count beside the bare engine call.

    python benchmarks/end_to_end.py [--model MODEL] [--backend onnxruntime] [--size 640x480]
                                    [--rounds 100] [--threads N] [--cpu-time]

Both run in turn in one process on the same frame, so that what else the machine does falls on both
alike; the times are medians. The bare call gets a tensor that is ready, and its maps are not read:
of ONNX Runtime it is `InferenceSession.run` with the defaults, of another engine `Backend.infer`.
With --cpu-time they are those of the calling thread on a core, with --threads 1: so they say
something on a machine that is busy with other work, too.
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
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--cpu-time", action="store_true", help="of one thread")
    options = parser.parse_args()
    if options.cpu_time:
        options.threads = 1
    clock = time.thread_time if options.cpu_time else time.perf_counter
    width, height = (int(side) for side in options.size.split("x"))
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    counter = EdgeCounter(options.model, backend=options.backend, threads=options.threads)
    tensor = ready_tensor(counter, width, height)
    if options.backend == "onnxruntime":
        session = open_session(str(open_model(options.model).path), options.threads)
        bare = lambda: session.run(None, tensor)  # noqa: E731
    else:
        bare = lambda: counter.backend.infer(tensor)  # noqa: E731
    times: dict[str, list[float]] = {"bare": [], "count": []}
    steps: dict[str, list[float]] = {"preprocess": [], "infer": [], "postprocess": []}
    for _ in range(options.rounds):
        time.sleep(PAUSE)
        times["bare"].append(timed(bare, clock))
        time.sleep(PAUSE)
        times["count"].append(timed(lambda: counter.count(frame), clock))
        time.sleep(PAUSE)
        for step, milliseconds in counter.count(frame).timings.items():
            steps[step].append(float(milliseconds))  # type: ignore[arg-type]
    without, count = (statistics.median(values) for values in times.values())
    where = f"{counter.backend.name}, {width} x {height}, {options.rounds} rounds"
    print(f"{counter.manifest.name} on {where}")
    print(f"  the bare engine call  {without:8.2f} ms")
    print(f"  EdgeCounter.count     {count:8.2f} ms   x {count / without:.3f}")
    for name, values in steps.items():
        print(f"    {name:<18}  {statistics.median(values):8.2f} ms")


def ready_tensor(counter: EdgeCounter, width: int, height: int) -> dict[str, np.ndarray]:
    """Return an engine's input for a frame of a size that is not shrunk."""
    spec = counter.manifest.input
    padded = (-(-side // spec.multiple) * spec.multiple for side in (height, width))
    values = np.random.default_rng(1).uniform(-1, 1, (1, 3, *padded)).astype(np.float32)
    return {spec.name: values}


def open_session(model: str | bytes, threads: int | None) -> onnxruntime.InferenceSession:
    """Open a session with ONNX Runtime's defaults and, if given, a number of threads."""
    settings = onnxruntime.SessionOptions()
    if threads:
        settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the milliseconds of one call by a clock."""
    start = clock()
    call()
    return 1000 * (clock() - start)


if __name__ == "__main__":
    main()
