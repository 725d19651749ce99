"""Graphs of other programs in the form that the tools here expect, with nothing else changed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgecount.export.graph.queries import name_nodes

if TYPE_CHECKING:
    import onnx

# From here on a weight need not be an input as well, by which a caller could replace it.
_OWN_WEIGHTS = 4
_MAP_RANK = 4  # (N, C, h, w)


def normalised(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which what ONNX leaves open, or older versions wrote otherwise, is settled.

    Every node gets a name of its own, in branches and loops too. Weights that are listed as inputs,
    as up to IR version 3 all are, are weights alone. A graph without a name gets one; descriptions
    of tensors without one go; shapes that outputs lack are inferred, or else those of maps.
    """
    import onnx

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
