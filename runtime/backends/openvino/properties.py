"""The properties that models are compiled with."""

from __future__ import annotations

import os
from typing import Any

from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.precision import hint


def usable_threads() -> int:
    """Return the number of hardware threads that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compile_properties(
    device: str, precision: str, threads: int | None, streams: int
) -> dict[str, Any]:
    """Return the properties for a device.

    Args:
        device: OpenVINO's name of the device.
        precision: kind of numbers to compute in, such as "float32" or "int8+bfloat16".
        threads: threads of a CPU, in all; None: all that this process may use.
        streams: number of frames at once.
    """
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": hint(precision),
        "NUM_STREAMS": streams,
        "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
    }
    if device == "CPU":
        properties |= {
            "INFERENCE_NUM_THREADS": threads or usable_threads(),
            # It leaves the second thread of each core unused unless it is told otherwise.
            "ENABLE_HYPER_THREADING": True,
            # Several processes, each of which has a part of the machine's cameras, would otherwise
            # all be bound to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
    # Those of other kinds of devices and of older releases are fewer.
    known = library.supported_properties(device)
    return {name: value for name, value in properties.items() if name in known}
