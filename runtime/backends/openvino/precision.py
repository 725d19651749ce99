"""The kinds of numbers that a device computes in."""

from __future__ import annotations

from typing import Any

from edgecount.errors import BackendError
from edgecount.runtime.backends.openvino import library

# OpenVINO's name of what is computed in, and the capability of a device that can.
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16"}
_NAMES = {hint: name for name, hint in _HINTS.items()}


def faster_precision(device: str) -> str | None:
    """Return what a device computes in faster than in float32; None: nothing.

    CPUs that have both take bfloat16, whose range is that of float32.
    """
    return next(iter(computes_in(device)[1:]), None)


def computes_in(device: str = "CPU") -> tuple[str, ...]:
    """Return the precisions of floats that a device computes in: "float32", and faster ones."""
    found = library.capabilities(device)
    return ("float32", *(name for name, needed in _CAPABILITIES.items() if needed in found))


def check_precision(backend: str, device: str, precision: str) -> None:
    """Refuse a precision, without INT8's part, that a device cannot compute in.

    Raises:
        BackendError: it cannot.
    """
    can = computes_in(device)
    if precision in can:
        return
    raise BackendError(
        f"precision: {precision} was asked for, and {backend} does not compute in it on "
        f"{library.full_name(device)}, only in {', '.join(can)}: "
        "leave precision at 'auto'"
    )


def hint(precision: str) -> str:
    """Return OpenVINO's name of a precision; of "int8+bfloat16", of the part that is not INT8."""
    return _HINTS[precision.removeprefix("int8").removeprefix("+") or "float32"]


def computed_in(compiled: Any) -> str:
    """Return what a compiled model computes in, apart from INT8: a hint is not always followed."""
    kind = compiled.get_property("INFERENCE_PRECISION_HINT")
    # A device that leaves it open takes what the file is in.
    return _NAMES.get(kind.get_type_name(), "float32")
