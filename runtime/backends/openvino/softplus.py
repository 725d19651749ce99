"""Softplus without a logarithm, for processors on which OpenVINO's is too coarse.

On Arm processors its logarithm is off by 4e-4 near 1. Softplus, with which a density map ends, is
then 4e-4 rather than 0 in each empty cell: 1.9 people in the density of a picture of 640x480, and
1.1 more in the count of a crowd of 134 (OpenVINO 2026.4, benchmarks/results/arm-2026-11-29.md).
"""

from __future__ import annotations

import platform
from typing import Any

from edgecount.runtime.backends.openvino import library

_TERMS = 6  # of the series of atanh: the first that is left out is below 1e-7


def needs_exact_softplus() -> bool:
    """Return whether OpenVINO's own softplus is too coarse on this processor."""
    return platform.machine().lower() in ("aarch64", "arm64")


def replace_softplus(model: Any) -> None:
    """Compute each softplus of a model without a logarithm, to float32's precision.

    log(1 + e) = 2 atanh(e / (2 + e)), whose series ends soon as e = exp(-abs(x)) is at most 1.

    Args:
        model: an `openvino.Model`; it is changed.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "SoftPlus":
            node.output(0).replace(_softplus(node.input_value(0)))
    model.validate_nodes_and_infer_types()


def _softplus(value: Any) -> Any:
    """Return the output max(x, 0) + log(1 + exp(-abs(x))) of an input."""
    openvino = library.load_openvino()
    op = openvino.opset8
    kind = value.get_element_type()

    def number(given: float) -> Any:
        return op.constant(given, dtype=kind)

    small = op.exp(op.negative(op.abs(value)))
    ratio = op.divide(small, op.add(small, number(2.0)))
    square = op.multiply(ratio, ratio)
    series = number(1.0 / (2 * _TERMS - 1))
    for term in range(_TERMS - 2, -1, -1):
        series = op.add(op.multiply(series, square), number(1.0 / (2 * term + 1)))
    logarithm = op.multiply(op.multiply(ratio, number(2.0)), series)
    return op.add(op.relu(value), logarithm).output(0)
