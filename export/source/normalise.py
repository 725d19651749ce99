"""Graphs of other programs in the form that the tools here expect, with nothing else changed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgecount.errors import ModelError
from edgecount.export.graph.queries import name_nodes

if TYPE_CHECKING:
    import onnx

# From here on a weight need not be an input as well, by which a caller could replace it.
_OWN_WEIGHTS = 4
_MAP_RANK = 4  # (N, C, h, w)
_MOST_NODES = 1_000_000  # a network of tens of thousands is large


def normalised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which what ONNX leaves open, or older versions wrote otherwise, is settled.

    Every node gets a name of its own, in branches and loops too. Weights that are listed as inputs,
    as up to IR version 3 all are, are weights alone. A graph without a name gets one; descriptions
    of tensors without one go; shapes that outputs lack are inferred, or else those of maps.

    Raises:
        ModelError: functions in the file call each other in circles or too often.
    """
    import onnx

    # Thirty functions that call each other twice are a thousand million nodes, at which tools hang.
    if (nodes := _Functions(model).count(model.graph.node)) > _MOST_NODES:
        raise ModelError(
            f"its functions, written out, are {nodes} nodes, expected at most {_MOST_NODES}"
        )
    made = copy.deepcopy(model)
    if made.ir_version < _OWN_WEIGHTS:
        made.ir_version = _OWN_WEIGHTS
        if not made.opset_import:  # older than opsets
            made.opset_import.add(domain="", version=1)
    taken: set[str] = set()
    for graph in (made.graph, *_graphs(made.graph.node)):
        graph.name = graph.name or "graph"
        name_nodes(graph.node, taken)
        described = [value for value in graph.value_info if value.name]
        if len(described) < len(graph.value_info):
            del graph.value_info[:]
            graph.value_info.extend(described)
    weights = {weight.name for weight in made.graph.initializer}
    inputs = [value for value in made.graph.input if value.name not in weights]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    if any(not value.type.tensor_type.HasField("shape") for value in made.graph.output):
        made = onnx.shape_inference.infer_shapes(made)
        for value in made.graph.output:
            if not value.type.tensor_type.HasField("shape"):  # after a Loop it cannot be known
                for _ in range(_MAP_RANK):
                    value.type.tensor_type.shape.dim.add()
    return made


def _graphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside nodes, and those inside them."""
    for node in nodes:
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield graph
                yield from _graphs(graph.node)


class _Functions:
    """The functions of a model, by the number of nodes that a call of each is, written out."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._bodies = {(one.domain, one.name): one.node for one in model.functions}
        self._sizes: dict[tuple[str, str], int | None] = {}

    def count(self, nodes: Iterable[onnx.NodeProto]) -> int:
        """Return the number of nodes, those in graphs inside them included.

        Raises:
            ModelError: a function calls itself.
        """
        nodes = list(nodes)
        inner = (node for graph in _graphs(nodes) for node in graph.node)
        return sum(self._size(node) for node in (*nodes, *inner))

    def _size(self, node: onnx.NodeProto) -> int:
        key = node.domain, node.op_type
        if key not in self._bodies:
            return 1
        if key not in self._sizes:
            self._sizes[key] = None  # begun
            self._sizes[key] = self.count(self._bodies[key])
        size = self._sizes[key]
        if size is None:
            raise ModelError(f"its function {node.op_type} calls itself")
        return size
