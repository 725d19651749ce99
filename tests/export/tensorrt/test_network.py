"""ONNX files that are no models of ours, as the parser of TensorRT for RTX meets them."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from edgecount.errors import EdgeCountError, ModelError  # noqa: E402
from edgecount.export.tensorrt.network import parse_onnx, tensors_of  # noqa: E402
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features  # noqa: E402
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog  # noqa: E402

try:
    TRT = load_tensorrt("tensorrt-rtx")
except EdgeCountError as missing:
    pytest.skip(str(missing), allow_module_level=True)

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def parse(path, data):
    log = TensorRTLog(TRT)
    features, builder = probe_features(TRT), TRT.Builder(log.logger)
    return parse_onnx(TRT, features, builder, log, path=path, data=data, typed=True)


def graph(operator, inputs, *, dtype=FLOAT, **attributes):
    """One node, of inputs {name: shape}."""
    node = helper.make_node(operator, list(inputs), ["density"], "only", **attributes)
    given = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()]
    out = helper.make_tensor_value_info("density", dtype, None)
    made = helper.make_graph([node], "tiny", given, [out])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=9).SerializeToString()


IMAGE = {"image": [1, 3, 64, 64]}


def test_tensors_are_told_in_the_words_of_numpy(tmp_path):
    parsed = parse(
        tmp_path / "model.onnx", graph("Relu", {"image": ["B", 3, "H", "W"]}, dtype=HALF)
    )
    assert tensors_of(parsed.network) == (
        ("image", "input", "float16", (-1, 3, -1, -1)),
        ("density", "output", "float16", (-1, 3, -1, -1)),
    )


@pytest.mark.parametrize("data", [b"", b"no protobuf at all"])
def test_a_file_that_is_no_model_is_refused(tmp_path, data):
    with pytest.raises(ModelError, match=r"model\.onnx is not an ONNX model"):
        parse(tmp_path / "model.onnx", data)


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        (IMAGE | {"other": [1, 3, 64, 64]}, r"image \(1, 3, 64, 64\), other"),
        ({"image": [1, 3]}, r"image \(1, 3\)"),
    ],
)
def test_anything_but_one_image_is_refused(tmp_path, inputs, got):
    operator = "Add" if len(inputs) == 2 else "Relu"
    with pytest.raises(ModelError, match=rf"expected one input of shape \(B, 3, H, W\), got {got}"):
        parse(tmp_path / "model.onnx", graph(operator, inputs))


def test_reasons_are_told_beside_the_operator(tmp_path):
    data = graph("Resize", IMAGE | {"": []}, mode="bogus")
    with pytest.raises(EdgeCountError, match=r"cannot run .*Resize \(only\) \(.*mode"):
        parse(tmp_path / "model.onnx", data)
