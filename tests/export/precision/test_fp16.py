"""FP16: strongly typed, close to the original, and float32 where it must be."""

import numpy as np
import onnx
import pytest
from graphs import pixels, small_model
from onnx import TensorProto, helper, numpy_helper

from edgecount.export.graph.queries import element_types, node_precisions, tidy, with_outputs
from edgecount.export.graph.session import open_session
from edgecount.export.precision.fp16 import LARGEST, SMALLEST, emulated, saturated, to_fp16
from edgecount.export.precision.sensitivity import overflowing


def run(model, image):
    return open_session(model, 1).run(None, {"image": image})


def test_every_node_computes_in_float16_and_the_ends_stay_float32():
    made = to_fp16(tidy(small_model()))
    onnx.checker.check_model(made, full_check=True)
    assert {layer.precision for layer in node_precisions(made)} == {"fp16"}
    for value in (*made.graph.input, *made.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    assert all(w.data_type == TensorProto.FLOAT16 for w in made.graph.initializer)
    assert [node.op_type for node in made.graph.node].count("Cast") == 3


def test_the_maps_stay_close():
    model, image = tidy(small_model()), pixels()
    for ours, theirs in zip(run(model, image), run(to_fp16(model), image), strict=True):
        assert theirs.dtype == np.float32
        assert theirs == pytest.approx(ours, abs=4e-3)
        assert not np.array_equal(ours, theirs)


def test_kept_nodes_compute_as_before():
    model, image = tidy(small_model()), pixels()
    everything = [node.name for node in model.graph.node]
    same = to_fp16(model, everything)
    assert all(node.op_type != "Cast" for node in same.graph.node)
    for ours, theirs in zip(run(model, image), run(same, image), strict=True):
        assert np.array_equal(ours, theirs)
    some = to_fp16(model, ["third", "sum"])
    found = {layer.name: layer.precision for layer in node_precisions(some)}
    assert {name for name, kind in found.items() if kind == "fp32"} == {"third", "sum"}
    run(some, image)


def test_the_size_is_halved():
    model = tidy(small_model())
    weights = sum(np.prod(w.dims) for w in model.graph.initializer)
    saved = model.ByteSize() - to_fp16(model).ByteSize()
    assert saved == pytest.approx(2 * weights, abs=600)


def test_scales_of_a_resize_stay_float32():
    nodes = [helper.make_node("Resize", ["image", "", "factors"], ["out"], "up", mode="nearest")]
    factors = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "factors")
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "up",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 8, 8])],
            [factors],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    made = to_fp16(model)
    onnx.checker.check_model(made, full_check=True)
    types = element_types(made)
    assert types["factors"] == TensorProto.FLOAT
    assert types["image_fp16"] == TensorProto.FLOAT16
    assert run(made, np.ones((1, 3, 4, 4), np.float32))[0].shape == (1, 3, 8, 8)


def test_types_in_attributes_follow():
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"], "shape"),
        helper.make_node("Cast", ["shape"], ["sizes"], "sizes", to=TensorProto.FLOAT),
        helper.make_node("ReduceProd", ["sizes"], ["all"], "all", keepdims=0),
        helper.make_node("Constant", [], ["two"], "two", value_float=2.0),
        helper.make_node("Div", ["image", "two"], ["half"], "half"),
        helper.make_node("Div", ["half", "all"], ["out"], "out"),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "attributes",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 4, 4])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    made = to_fp16(tidy(model))
    onnx.checker.check_model(made, full_check=True)
    image = np.full((1, 3, 4, 4), 3.0, np.float32)
    assert run(made, image)[0] == pytest.approx(image / 2 / 48, rel=1e-3)


def test_narrow_keeps_infinities_and_cuts_the_rest():
    values = np.array([1e6, -1e6, np.inf, -np.inf, 1.0], np.float32)
    assert saturated(values).tolist() == [65504.0, -65504.0, np.inf, -np.inf, 1.0]


def test_nodes_that_overflow_are_found():
    model = tidy(small_model())
    largest = {"second": 70000.0, "second_cut": 70000.0, "third": 5.0}
    found = overflowing(model, largest, LARGEST, SMALLEST)
    assert set(found) == {"second", "second_relu", "third", "side"}
    assert found["second"] == "values up to 7e+04, the type ends at 65504"
    odd = tidy(small_model())
    for weight in odd.graph.initializer:
        value = numpy_helper.to_array(weight)
        if weight.name == "side_w":
            weight.CopyFrom(numpy_helper.from_array(value * np.float32(1e6), weight.name))
        if weight.name == "people_b":
            weight.CopyFrom(numpy_helper.from_array(np.full_like(value, 1e-9), weight.name))
    found = overflowing(odd, {}, LARGEST, SMALLEST)
    assert set(found) == {"side", "people"}
    assert found["people"] == "a constant below 6e-08, which would be 0"


def test_rounding_computes_what_the_typed_graph_says():
    model, image = tidy(small_model()), pixels()
    typed = to_fp16(model)
    made = emulated(typed)
    onnx.checker.check_model(made, full_check=True)
    assert set(element_types(made).values()) <= {TensorProto.FLOAT, TensorProto.FLOAT16}
    session = open_session(with_outputs(made, ["second_cut_fp16"]), 1)
    (stored,) = session.run(["second_cut_fp16"], {"image": image})
    assert np.array_equal(stored, stored.astype(np.float16).astype(np.float32))
    for ours, theirs in zip(run(model, image), run(made, image), strict=True):
        assert theirs == pytest.approx(ours, abs=4e-3)


def test_rounding_overflows_where_the_typed_graph_would():
    def convolution(name, source, weight):
        return helper.make_node("Conv", [source, weight], [name], name)

    weights = {"up": 1e4, "down": 1e-4}
    model = helper.make_model(
        helper.make_graph(
            [
                convolution("loud", "image", "up"),
                helper.make_node("Relu", ["loud"], ["cut"], "relu"),
                convolution("out", "cut", "down"),
            ],
            "loud",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 2, 2])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, 2, 2])],
            [
                numpy_helper.from_array(np.full((1, 1, 1, 1), value, np.float32), name)
                for name, value in weights.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    image = np.full((1, 1, 2, 2), 100, np.float32)
    assert np.isinf(run(emulated(to_fp16(model)), image)[0]).all()
    assert run(emulated(to_fp16(model, ["loud", "relu", "out"])), image)[0] == pytest.approx(100)


def test_sizes_are_not_computed_in_float16():
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"], "shape"),
        helper.make_node("Cast", ["shape"], ["sizes"], "sizes", to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["sizes"], ["all"], "all", keepdims=0),
        helper.make_node("Mul", ["image", "all"], ["out"], "scaled"),
    ]
    shape = [1, 1, 2, 2049]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "sizes",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    made = to_fp16(model)
    onnx.checker.check_model(made, full_check=True)
    kinds = {layer.name: layer.precision for layer in node_precisions(made)}
    assert (kinds["all"], kinds["scaled"]) == ("fp32", "fp16")
