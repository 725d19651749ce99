"""Queries on ONNX graphs, and copies with names, constants or outputs that steps need."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


STANDARD = ("", "ai.onnx")
WEIGHTY = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # where the multiplications are


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which every node has its own name and every constant is an initializer.

    Precisions are chosen node by node, and reported by these names.
    """
    from onnx import numpy_helper

    made = copy.deepcopy(model)
    graph = made.graph
    kept = []
    name_nodes(graph.node, set())
    for node in graph.node:
        if node.op_type == "Constant" and node.domain in STANDARD:
            value = constant_value(node)
            if value is not None:
                graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
                continue
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    return made


def name_nodes(nodes: Sequence[onnx.NodeProto], taken: set[str]) -> None:
    """Give nodes without a name, or with one that is taken, a name of their own.

    ``taken`` holds the names of nodes elsewhere, and then those of these nodes, too.
    """
    known = taken | {node.name for node in nodes}
    for index, node in enumerate(nodes):
        if not node.name or node.name in taken:
            node.name = _free(f"{node.op_type}_{index}", known)
            known.add(node.name)
        taken.add(node.name)


def _free(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}_{index}" for index in itertools.count())
    return next(n for n in itertools.chain([name], numbered) if n not in taken)


def with_subgraphs(model: onnx.ModelProto) -> list[str]:
    """Return the names of nodes that hold graphs of their own (If, Loop, Scan)."""
    return [node.name for node in model.graph.node if any(a.HasField("g") for a in node.attribute)]


def apart_from_pixels(model: onnx.ModelProto) -> set[str]:
    """Return the names of nodes that compute with tensors' shapes, and not with the image."""
    pixels = {value.name for value in model.graph.input}
    shapes: set[str] = set()
    found = set()
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or (
            shapes & set(node.input) and not pixels & set(node.input)
        ):
            found.add(node.name)
            shapes |= set(node.output)
        elif pixels & set(node.input):
            pixels |= set(node.output)
    return found


def constant_value(node: onnx.NodeProto) -> NDArray[np.generic] | None:
    """Return the array of a Constant node; None for strings and sparse tensors."""
    from onnx import helper, numpy_helper

    if not node.attribute:
        return None
    attribute = node.attribute[0]
    if attribute.name == "value":
        return numpy_helper.to_array(attribute.t)
    dtypes = {"value_float": np.float32, "value_int": np.int64}
    dtype = dtypes.get(attribute.name.removesuffix("s"))
    return None if dtype is None else np.array(helper.get_attribute_value(attribute), dtype)


def opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators, 0 of a model that imports none."""
    return next((int(o.version) for o in model.opset_import if o.domain in STANDARD), 0)


def weights(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """Return the initializers by name."""
    from onnx import numpy_helper

    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Return each tensor's element type (``TensorProto.DataType``), as far as ONNX infers it."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {weight.name: weight.data_type for weight in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return a copy with these float32 tensors as outputs besides its own."""
    from onnx import TensorProto, helper

    made = copy.deepcopy(model)
    there = {output.name for output in made.graph.output}
    for name in names:
        if name not in there:
            made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return made


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each tensor."""
    return {name: node for node in model.graph.node for name in node.output if name}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor, in order."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            if name:
                found.setdefault(name, []).append(node)
    return found


def float_tensors(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, str]]:
    """Yield each node with each float32 tensor that it makes."""
    types = element_types(model)
    for node in model.graph.node:
        for name in node.output:
            if name and types.get(name) == 1:
                yield node, name


class FreeNames:
    """Names for what is added to a graph, each given once.

    Tensors and nodes share one set: ONNX keeps them apart, but people who read a graph do not.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self._taken = {
            *(value.name for value in (*graph.input, *graph.output, *graph.initializer)),
            *(node.name for node in graph.node),
            *(name for node in graph.node for name in (*node.input, *node.output)),
        }

    def free(self, name: str) -> str:
        """Return the name, with underscores after it as long as it is taken."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


class Layer(NamedTuple):
    """A node and the precision that it computes in."""

    name: str
    operator: str
    precision: str


def node_precisions(model: onnx.ModelProto) -> list[Layer]:
    """Return the nodes in order, without those that only turn one precision into another.

    A node computes in ``int8`` where it reads the output of a DequantizeLinear, for that is how a
    graph says so: the engine then runs the whole in integers.
    """
    types = element_types(model)
    nodes = model.graph.node
    quantised = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    names = {1: "fp32", 10: "fp16"}
    found = []
    for node in nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Cast"):
            continue
        # A convolution computes in INT8 where its weights are quantised, too.
        read = node.input[:2] if node.op_type in WEIGHTY else node.input[:1]
        if read and quantised.issuperset(read):
            precision = "int8"
        else:
            precision = names.get(types.get(node.output[0], 0), "other")
        found.append(Layer(node.name, node.op_type, precision))
    return found
