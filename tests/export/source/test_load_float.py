"""Only a float32 model is a reference."""

import onnx
import pytest
from graphs import pixels, small_model
from onnx import TensorProto, helper

from edgecount.errors import ModelError
from edgecount.export.graph.queries import tidy
from edgecount.export.precision.calibrate import calibrate
from edgecount.export.precision.fp16 import to_fp16
from edgecount.export.precision.int8 import calibrated_tensors, to_int8
from edgecount.export.source.load import load_source, with_opset


@pytest.fixture(scope="module")
def model():
    return tidy(small_model())


@pytest.fixture(scope="module")
def ranges(model):
    return calibrate(model, [{"image": pixels()}], calibrated_tensors(model), threads=1).ranges(
        "minmax"
    )


def refused(model, folder):
    onnx.save(model, folder / "it.onnx")
    with pytest.raises(ModelError) as raised:
        load_source(str(folder / "it.onnx"))
    message = str(raised.value)
    assert "\n" not in message
    assert message.endswith("export from the float32 model.onnx")
    return message


@pytest.mark.parametrize("encoding", ["tensorrt", "cpu"])
def test_bytes_are_no_start(model, ranges, encoding, tmp_path):
    message = refused(to_int8(model, ranges, encoding), tmp_path)
    assert "it.onnx is already quantised (it holds DequantizeLinear, QuantizeLinear)" in message


def test_bytes_with_float16_are_no_start(model, ranges, tmp_path):
    made = to_fp16(with_opset(to_int8(model, ranges, "tensorrt"), 19))
    assert "is already quantised" in refused(made, tmp_path)


def test_float16_inside_is_no_start(model, tmp_path):
    assert "it.onnx is already in float16 (its tensor " in refused(to_fp16(model), tmp_path)
    kept = to_fp16(model, [node.name for node in model.graph.node if node.name != "sigmoid"])
    assert "is already in float16" in refused(kept, tmp_path)


def test_what_the_outputs_do_not_need_does_not_count(model, tmp_path):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    there = model.graph.output[0].name
    made.graph.node.append(helper.make_node("Cast", [there], ["half"], to=TensorProto.FLOAT16))
    made.graph.output.append(
        helper.make_tensor_value_info("half", TensorProto.FLOAT16, [1, 1, None, None])
    )
    onnx.save(made, tmp_path / "it.onnx")
    source = load_source(str(tmp_path / "it.onnx"))
    assert "half" not in {name for node in source.original.graph.node for name in node.output}


def test_weights_may_be_listed_as_inputs(model, tmp_path):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.graph.initializer.append(helper.make_tensor("whole", TensorProto.INT64, [1], [3]))
    for weight in made.graph.initializer:
        made.graph.input.append(
            helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        )
    onnx.save(made, tmp_path / "it.onnx")
    assert load_source(str(tmp_path / "it.onnx")).manifest.input.name == model.graph.input[0].name


def test_bfloat16_inside_is_no_start(model, tmp_path):
    made = onnx.ModelProto()
    made.CopyFrom(model)
    index = next(i for i, node in enumerate(made.graph.node) if node.name == "softplus")
    made.graph.node[index].input[0] = "wide"
    for place, (source, target, kind) in enumerate(
        [("people", "short", TensorProto.BFLOAT16), ("short", "wide", TensorProto.FLOAT)]
    ):
        cast = helper.make_node("Cast", [source], [target], f"to_{target}", to=kind)
        made.graph.node.insert(index + place, cast)
    assert "is already in bfloat16 (its tensor short)" in refused(made, tmp_path)


def test_float32_is_a_start(model, tmp_path):
    onnx.save(model, tmp_path / "it.onnx")
    assert load_source(str(tmp_path / "it.onnx")).manifest.name == "small"
