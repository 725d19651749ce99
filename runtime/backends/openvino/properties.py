"""The properties that models are compiled with."""

from __future__ import annotations

from typing import Any

from edgecount.manifest import FOR_TENSORRT
from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.precision import hint
from edgecount.runtime.models.machine import X86, this_cpu, usable_threads

# Takes a graph's INT8 as the rounding of floats that it is on paper, and multiplies floats: no
# documented property, and its plugin for CPUs has it in all releases tried.
_AS_WRITTEN = {"LP_TRANSFORMS_MODE": False}


def saturates(encoding: str) -> bool:
    """Return whether OpenVINO would count a file of INT8 wrongly on this CPU if it multiplied so.

    Without instructions for INT8, x86 adds two products of bytes in 16 bits. Files for CPUs have
    weights that leave room for that; those encoded for TensorRT have not.
    """
    cpu = this_cpu()
    return encoding == FOR_TENSORRT and cpu.machine in X86 and not cpu.int8


def compile_properties(
    device: str, precision: str, threads: int | None, streams: int, *, as_written: bool = False
) -> dict[str, Any]:
    """Return the properties for a device.

    Args:
        device: OpenVINO's name of the device.
        precision: kind of numbers to compute in, such as "float32" or "int8+bfloat16".
        threads: threads of a CPU, in all; None: all that this process may use.
        streams: number of frames at once.
        as_written: multiply floats where the file says INT8; see `saturates`.
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
    found = {name: value for name, value in properties.items() if name in known}
    return found | _AS_WRITTEN if as_written else found
