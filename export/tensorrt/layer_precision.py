"""Count layers by precision: in the graph before the build, in the engine after it.

In a strongly typed network the graph binds the engine, so that its types can be checked where there
is no GPU. Elsewhere TensorRT chooses within what it is allowed, and only the engine itself
knows. Loading an engine without a driver ends the process: nothing here does.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edgecount.errors import BackendError
from edgecount.runtime.models.sidecar import Precision

PRECISION_OF = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "FP8": "fp8", "INT8": "int8"}
# What an engine spends its time on. Everything around them only has to keep up.
_MULTIPLYING = {"CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY", "EINSUM"}
_NO_WORK = {"CONSTANT", "CAST", "IDENTITY", "QUANTIZE", "DEQUANTIZE"}
_COPIES = {"Reformat", "NoOp", "Constant", "Shape", "ShapeHostToDevice", "shape_call", "Signal"}
_WORDS = (
    ("int8", re.compile(r"int8", re.IGNORECASE)),
    ("bf16", re.compile(r"bf16|bfloat16", re.IGNORECASE)),
    ("fp16", re.compile(r"fp16|float16|half", re.IGNORECASE)),
    ("fp8", re.compile(r"fp8", re.IGNORECASE)),
    ("fp32", re.compile(r"fp32|float", re.IGNORECASE)),
)


def network_precisions(network: Any) -> dict[str, int]:
    """Count the layers of a strongly typed network that multiply, by precision.

    A convolution computes in int8 if both its image and its kernel come from a DequantizeLinear:
    TensorRT fuses the three. A graph that multiplies nothing has all its layers counted.

    Args:
        network: TensorRT's network, as the parser left it.

    Returns:
        Such as {"fp16": 20, "fp32": 2}.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    quantized = {
        layer.get_output(0).name
        for layer in layers
        if layer.type.name == "DEQUANTIZE" and layer.get_input(0).dtype.name == "INT8"
    }
    working = [layer for layer in layers if layer.type.name in _MULTIPLYING]
    if not working:
        working = [layer for layer in layers if layer.type.name not in _NO_WORK]
    found = Counter(_precision_of(layer, quantized) for layer in working)
    return {precision: found[precision] for precision in sorted(found) if precision != "other"}


def _precision_of(layer: Any, quantized: set[str]) -> str:
    inputs = [layer.get_input(index) for index in range(min(layer.num_inputs, 2))]
    names = [tensor.name for tensor in inputs if tensor is not None]
    if len(names) == 2 and quantized.issuperset(names):
        return "int8"
    return PRECISION_OF.get(layer.get_output(0).dtype.name, "other")


def engine_precisions(information: str) -> dict[str, int]:
    """Count the layers of an engine by precision, from its inspector's report.

    Args:
        information: JSON of the whole engine, built with detailed profiling verbosity.

    Returns:
        Such as {"fp16": 20, "unknown": 2}; layers that only copy are left out. Engines with dynamic
        shapes do not report the types of all their tensors.
    """
    layers = json.loads(information).get("Layers", [])
    found = Counter(
        _inspected(layer) if isinstance(layer, Mapping) else "unknown"
        for layer in layers
        if not (isinstance(layer, Mapping) and layer.get("LayerType") in _COPIES)
    )
    return {precision: found[precision] for precision in sorted(found)}


def _inspected(layer: Mapping[str, Any]) -> str:
    """Return the precision of the first of input, weights and output that has one."""
    for text in _types(layer):
        for precision, pattern in _WORDS:
            if pattern.search(text):
                return precision
    return "unknown"


def _types(layer: Mapping[str, Any]) -> Iterator[str]:
    for key in ("Inputs", "Weights", "Outputs"):
        entries = layer.get(key) or []
        for entry in [entries] if isinstance(entries, Mapping) else entries[:1]:
            for name in ("Format/Datatype", "Datatype", "Type", "Format"):
                if isinstance(entry, Mapping) and name in entry:
                    yield str(entry[name])


def check_precision(asked: Precision, found: Mapping[str, int], what: str, advice: str) -> None:
    """Refuse an engine whose layers contradict the precision that was asked for.

    fp32 allows nothing less; fp16 needs a layer in fp16 and allows fp32 beside it, for layers that
    would overflow; int8 needs a layer in int8 and allows both others.

    Raises:
        BackendError: it does; the message says what was asked, what was found and what to do.
    """
    known = {precision for precision, number in found.items() if number} - {"unknown"}
    if asked == "fp32":
        wrong = bool(known - {"fp32"})
    elif asked == "fp16":
        wrong = "fp16" not in known or "int8" in known
    else:
        wrong = "int8" not in known
    if wrong:
        raise BackendError(f"asked for {asked}, and {what} has {describe(found)}: {advice}")


def describe(found: Mapping[str, int]) -> str:
    """Return the counts as words, such as "20 layers in fp16, 2 in fp32"."""
    parts = [f"{number} in {precision}" for precision, number in found.items()]
    if parts:
        parts[0] = parts[0].replace(
            " in ", " layer in " if parts[0].startswith("1 ") else " layers in "
        )
    return ", ".join(parts) or "no layers"
