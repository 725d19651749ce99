"""Graphs that other programs write in forms that the tools here do not expect."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from graphs import pixels, small_model
from onnx import TensorProto, helper, numpy_helper

from edgecount.export.graph.queries import tidy
from edgecount.export.graph.session import open_session
from edgecount.export.source.load import load_graph, load_source


def names_of(graph):
    found = [node.name for node in graph.node]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += names_of(attribute.g)
    return found


def nameless(model):
    for node in model.graph.node:
        node.name = ""


def same_names(model):
    for node in model.graph.node:
        node.name = "node"


def nearly_taken(model):
    for node in model.graph.node:
        node.name = ""
    model.graph.node[-1].name = "Conv_0"


def weights_as_inputs(model):
    for weight in model.graph.initializer:
        shape = list(weight.dims)
        value = helper.make_tensor_value_info(weight.name, weight.data_type, shape)
        model.graph.input.append(value)
    model.ir_version = 3


def old_without_inputs(model):
    model.ir_version = 3


def without_graph_name(model):
    model.graph.name = ""


def nameless_description(model):
    model.graph.value_info.add()


def outputs_without_shape(model):
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def with_branches(model):
    """The Relu as two branches without names of graphs and nodes, which read a tensor outside."""
    branches = [
        helper.make_graph(
            [helper.make_node("Relu", ["second"], [name])],
            "",
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        )
        for name in ("first_way", "second_way")
    ]
    made = helper.make_node(
        "If", ["chosen"], ["second_cut"], then_branch=branches[0], else_branch=branches[1]
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "chosen"))
    index = [node.op_type for node in model.graph.node].index("Relu")
    model.graph.node[index].CopyFrom(made)


FORMS = [
    nameless,
    same_names,
    nearly_taken,
    weights_as_inputs,
    old_without_inputs,
    without_graph_name,
    nameless_description,
    outputs_without_shape,
    with_branches,
]


@pytest.mark.parametrize("change", FORMS)
def test_the_graph_is_loaded_and_gives_the_same_maps(tmp_path, change):
    model = small_model()
    (expected, _) = open_session(model, 1).run(None, {"image": pixels()})
    change(model)
    onnx.save(model, tmp_path / "odd.onnx")
    source = load_source(str(tmp_path / "odd.onnx"))
    names = names_of(load_graph(tmp_path / "odd.onnx").graph)
    assert all(names)
    assert len({*names}) == len(names)
    assert [value.name for value in source.model.graph.input] == ["image"]
    (density, _) = open_session(source.model, 1).run(None, {"image": pixels()})
    np.testing.assert_allclose(density, expected, rtol=1e-4, atol=1e-6)


def test_many_nodes_without_names_are_named_in_no_time():
    nodes = [helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"]) for i in range(3000)]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x0", "x3000")]
    graph = helper.make_graph(nodes, "long", ends[:1], ends[1:])
    started = time.monotonic()
    assert len({*names_of(tidy(helper.make_model(graph)).graph)}) == 3000
    assert time.monotonic() - started < 5
