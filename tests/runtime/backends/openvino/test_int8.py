"""INT8 in OpenVINO: both encodings count as they say, on CPUs without instructions for INT8 too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecount.errors import BackendError, ModelError
from edgecount.manifest import ENCODING_KEY
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.backends.openvino import properties
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.machine import Cpu
from edgecount.runtime.models.onnx_facts import stored_precision
from edgecount.runtime.models.open import open_model

pytest.importorskip("openvino", reason="openvino is not installed")

from edgecount.runtime.backends.openvino.backend import OpenVinoBackend

BRIGHT = np.full((1, 3, 64, 64), 1.0, np.float32)
SCALE = np.float32(1 / 255)


def int8_model(path: Path, *, tensorrt: bool, scales: type = np.float32, weight: int = 127) -> Path:
    """Write a file that sums up 8 x 8 pixels with weights in INT8; pairs of the largest saturate.

    255 * 127 + 255 * 127 is more than 16 bits hold, in which x86 adds two products of bytes.
    """
    model = onnx.load(path)
    weights = np.full((1, 3, 8, 8), weight, np.int8)
    kind = TensorProto.FLOAT16 if scales is np.float16 else TensorProto.FLOAT
    tensors = {
        "scale": np.array(SCALE, scales),
        "zero": np.array(0, np.uint8),
        "weights": weights,
        "weight_scale": np.array(1 / 127 / 192, scales),
        "weight_zero": np.array(0, np.int8),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=kind),
        helper.make_node("QuantizeLinear", ["cast", "scale", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["grey"]),
        helper.make_node(
            "DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["weight"]
        ),
        helper.make_node("Conv", ["grey", "weight"], ["sum"], strides=[8, 8]),
        helper.make_node("Cast", ["sum"], ["density"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "int8",
        list(model.graph.input),
        [one for one in model.graph.output if one.name == "density"],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    made.metadata_props.extend(model.metadata_props)
    if tensorrt:
        helper.set_model_props(
            made, {one.key: one.value for one in model.metadata_props} | {ENCODING_KEY: "tensorrt"}
        )
    onnx.save(made, path)
    return path


@pytest.fixture
def density_model(make_model: Callable[..., Path]) -> Callable[[], Path]:
    return lambda: make_model(roles=("density",))


def maps(path: Path) -> NDArray[np.float32]:
    with OpenVinoBackend(open_model(path), precision="int8", threads=1) as backend:
        (found,) = backend.infer({"image": BRIGHT}).values()
    return np.asarray(found)


@pytest.mark.parametrize("scales", [np.float32, np.float16])
def test_what_is_encoded_for_tensorrt_is_counted_right(
    density_model: Callable[[], Path], scales: type
) -> None:
    """The exporter sees to it that nothing saturates in a file for CPUs; this is the other kind."""
    path = int8_model(density_model(), tensorrt=True, scales=scales)
    assert stored_precision(path) == "int8"
    try:
        found = maps(path)
    except ModelError as error:
        assert scales is np.float16
        pytest.skip(f"this release takes no scales in float16: {error}")
    np.testing.assert_allclose(found, 1.0, rtol=2e-3)
    with OnnxRuntimeBackend(open_model(path)) as other:
        assert other.precision == "int8"
        (found,) = other.infer({"image": BRIGHT}).values()
    np.testing.assert_allclose(found, 1.0, rtol=2e-3)


def test_what_is_encoded_for_cpus_is_multiplied_in_int8(density_model: Callable[[], Path]) -> None:
    path = int8_model(density_model(), tensorrt=False, weight=63)
    np.testing.assert_allclose(maps(path), 63 / 127, rtol=2e-3)


@pytest.mark.parametrize(
    ("encoding", "cpu", "wanted"),
    [
        ("tensorrt", Cpu("old", "x86_64", False), True),
        ("tensorrt", Cpu("unknown", "AMD64", None), True),
        ("tensorrt", Cpu("new", "x86_64", True), False),
        ("tensorrt", Cpu("board", "aarch64", False), False),
        ("", Cpu("old", "x86_64", False), False),
    ],
)
def test_where_int8_would_saturate(
    encoding: str, cpu: Cpu, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(properties, "this_cpu", lambda: cpu)
    assert properties.saturates(encoding) is wanted


def test_a_precision_is_of_what_int8_leaves(density_model: Callable[[], Path]) -> None:
    path = int8_model(density_model(), tensorrt=False, weight=63)
    for name in ("auto", "float32"):
        with open_backend(open_model(path), "openvino", precision=name).backend as backend:
            assert backend.precision == "int8"
    try:
        with open_backend(open_model(path), "openvino", precision="bfloat16").backend as backend:
            assert backend.precision == "int8+bfloat16"
    except BackendError as error:
        assert "bfloat16 was asked for, and openvino does not compute in it" in str(error)  # noqa: PT017
