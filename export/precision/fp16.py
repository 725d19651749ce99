"""Convert a float32 graph to a strongly typed float16 one.

TensorRT 10 and later, and TensorRT for RTX, take each tensor's type from the graph: there, half
precision is a rewrite of the ONNX file and no flag of the builder. Inputs and outputs stay
float32, so that nothing around the graph changes.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from edgecount.errors import ModelError
from edgecount.export.graph.queries import (
    FreeNames,
    apart_from_pixels,
    element_types,
    opset,
    weights,
    with_subgraphs,
)

if TYPE_CHECKING:
    import onnx

LARGEST = 65504.0  # of float16
SMALLEST = 2.0**-24  # above 0
MIN_SCALE = 2.0**-20  # of INT8: 16 of the smallest, so that a scale keeps some of its bits

_FLOAT, _HALF = 1, 10  # TensorProto.FLOAT, TensorProto.FLOAT16
_SUFFIX = "_fp16"
_QDQ = ("QuantizeLinear", "DequantizeLinear")


def to_fp16(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Return a copy whose nodes compute in float16, except those in ``keep``.

    What an operator wants in float32 by its definition (the scales of a Resize) stays so, and so
    does what computes with shapes only: a side past 2048 px is no float16. Casts stand only where
    the precision changes.

    Args:
        model: as :func:`edgecount.export.graph.queries.tidy` leaves it.
        keep: names of nodes that stay in float32.

    Raises:
        ModelError: a node holds a graph of its own, whose tensors cannot be followed.
    """
    from onnx import helper

    if inner := with_subgraphs(model):
        raise ModelError(
            f"FP16 needs a graph without If, Loop and Scan, got {', '.join(inner)}: export the "
            "network without them, or without `fp16`"
        )
    converter = _Converter(model, apart_from_pixels(model).union(keep))
    for node in model.graph.node:
        converter.add(node)
    graph = helper.make_graph(
        converter.nodes,
        model.graph.name,
        list(model.graph.input),
        list(model.graph.output),
        converter.initializers(),
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    made.metadata_props.extend(model.metadata_props)
    made.producer_name, made.producer_version = model.producer_name, model.producer_version
    return made


class _Converter:
    """Convert node by node, with each tensor in the precisions that its readers ask for."""

    def __init__(self, model: onnx.ModelProto, keep: Collection[str]) -> None:
        self.keep = keep
        self.nodes: list[onnx.NodeProto] = []
        self._version = opset(model)
        self._weights = weights(model)
        self._used: dict[str, np.ndarray] = {}
        self._types = element_types(model)
        self._casts: dict[tuple[str, int], str] = {}
        self._made: set[str] = set()  # tensors that exist as float16 under the other name only
        self._names = FreeNames(model)
        self._halves: dict[str, str] = {}
        self._outputs = {output.name for output in model.graph.output}

    def initializers(self) -> list[onnx.TensorProto]:
        """Return the weights that the new nodes use."""
        from onnx import numpy_helper

        return [numpy_helper.from_array(value, name) for name, value in self._used.items()]

    def add(self, node: onnx.NodeProto) -> None:
        """Append a node in its new precision, with the casts that it needs."""
        made = copy.deepcopy(node)
        half = self._variables(node)
        for index, name in enumerate(node.input):
            if name and self._types.get(name) == _FLOAT:
                wanted = _HALF if _variable(node, index, self._version) in half else _FLOAT
                is_step = index == 1 and node.op_type in _QDQ and name in self._weights
                if is_step and wanted == _HALF:
                    made.input[index] = self._step(name)
                else:
                    made.input[index] = self._get(name, wanted)
            elif name in self._weights:
                self._used[name] = self._weights[name]
        self._retype_attributes(made, half)
        turned = [
            index
            for index, name in enumerate(node.output)
            if self._types.get(name) == _FLOAT
            and _variable(node, index, self._version, output=True) in half
        ]
        for index in turned:
            made.output[index] = self._half(node.output[index])
            self._made.add(node.output[index])
        self.nodes.append(made)
        for index in turned:
            if node.output[index] in self._outputs:
                self._get(node.output[index], _FLOAT)

    def _variables(self, node: onnx.NodeProto) -> set[str]:
        """Return the node's type variables (such as ``T``) that become float16."""
        # An attribute that says float32 (of a RandomNormal, an EyeLike) would contradict the rest.
        if node.name in self.keep or any(a.name == "dtype" for a in node.attribute):
            return set()
        schema = _schema(node, self._version)
        if schema is None:
            return set()
        allowed = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}
        return {
            name for name, types in allowed.items() if {"tensor(float16)", "tensor(float)"} <= types
        }

    def _retype_attributes(self, node: onnx.NodeProto, half: set[str]) -> None:
        """Change the types in attributes of a Cast, a Constant or a ConstantOfShape."""
        from onnx import numpy_helper

        if not half:
            return
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _FLOAT:
                attribute.i = _HALF
            elif attribute.name == "value" and attribute.t.data_type == _FLOAT:
                value = saturated(numpy_helper.to_array(attribute.t))
                attribute.t.CopyFrom(numpy_helper.from_array(value))

    def _get(self, name: str, kind: int) -> str:
        """Return a float tensor's name in this precision; add a cast where there is none."""
        if name in self._weights:
            return self._weight(name, kind)
        if (kind == _HALF) == (name in self._made):
            return self._half(name) if kind == _HALF else name
        if (name, kind) not in self._casts:
            half = self._half(name)
            source, target = (name, half) if kind == _HALF else (half, name)
            label = self._names.free(f"{name}_to_{'float16' if kind == _HALF else 'float32'}")
            self.nodes.append(_cast(source, target, label, kind))
            self._casts[name, kind] = target
        return self._casts[name, kind]

    def _weight(self, name: str, kind: int) -> str:
        if kind == _FLOAT:
            self._used[name] = self._weights[name]
            return name
        self._used[self._half(name)] = saturated(self._weights[name])
        return self._half(name)

    def _step(self, name: str) -> str:
        """Return an INT8 scale in float16, above 0: a scale of 0 would make its channel NaN."""
        self._used[self._half(name)] = saturated(np.maximum(self._weights[name], MIN_SCALE))
        return self._half(name)

    def _half(self, name: str) -> str:
        """Return the name of a tensor in float16."""
        if name not in self._halves:
            self._halves[name] = self._names.free(name + _SUFFIX)
        return self._halves[name]


def saturated(value: np.ndarray) -> np.ndarray:
    """Return an array as float16, with values beyond its range at its ends; infinities stay."""
    ends = np.where(np.isinf(value), value, np.clip(value, -LARGEST, LARGEST))
    return ends.astype(np.float16)


def _schema(node: onnx.NodeProto, version: int) -> onnx.defs.OpSchema | None:
    import onnx

    try:
        return onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return None


def _variable(
    node: onnx.NodeProto, index: int, version: int, *, output: bool = False
) -> str | None:
    """Return the type variable of an input or output, such as ``T``; the last one may repeat."""
    schema = _schema(node, version)
    if schema is None:
        return None
    formal = schema.outputs if output else schema.inputs
    variable: str = formal[min(index, len(formal) - 1)].type_str
    return variable


def emulated(typed: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float32 graph that rounds to float16 wherever a typed one stores float16.

    CPUs have few float16 kernels: ONNX Runtime computes in float32 there and drops the rounding
    between two such nodes, so that running the typed graph says little. This one computes as a
    GPU does that accumulates in float32 and stores float16, overflow included.
    """
    from onnx import numpy_helper

    types = element_types(typed)
    names = FreeNames(typed)
    made = copy.deepcopy(typed)
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    for weight in typed.graph.initializer:
        value = numpy_helper.to_array(weight)
        if weight.data_type == _HALF:
            value = value.astype(np.float32)
        made.graph.initializer.append(numpy_helper.from_array(value, weight.name))
    for node in typed.graph.node:
        turned = copy.deepcopy(node)
        for attribute in turned.attribute:
            if attribute.name == "to" and attribute.i == _HALF:
                attribute.i = _FLOAT
            elif attribute.name == "value" and attribute.t.data_type == _HALF:
                value = numpy_helper.to_array(attribute.t).astype(np.float32)
                attribute.t.CopyFrom(numpy_helper.from_array(value))
        after = []
        for index, name in enumerate(node.output):
            if types.get(name) == _HALF:
                exact, half = names.free(f"{name}_exact"), names.free(f"{name}_half")
                turned.output[index] = exact
                after += [
                    _cast(exact, half, names.free(f"{half}_cast"), _HALF),
                    _cast(half, name, names.free(f"{name}_cast"), _FLOAT),
                ]
        made.graph.node.extend([turned, *after])
    return made


def _cast(source: str, target: str, label: str, kind: int) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node("Cast", [source], [target], label, to=kind)
