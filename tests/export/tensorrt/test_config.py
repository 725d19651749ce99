"""Parts of a builder's configuration, on the objects of TensorRT for RTX."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgecount.errors import EdgeCountError  # noqa: E402
from edgecount.export.tensorrt.config import (  # noqa: E402
    graph_types,
    load_timing_cache,
    save_timing_cache,
)
from edgecount.export.tensorrt.network import parse_onnx  # noqa: E402
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features  # noqa: E402
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog  # noqa: E402

try:
    TRT = load_tensorrt("tensorrt-rtx")
except EdgeCountError as missing:
    pytest.skip(str(missing), allow_module_level=True)


@pytest.fixture
def builder():
    log = TensorRTLog(TRT)
    return TRT.Builder(log.logger), log


def mixed_graph():
    """A convolution in fp32, one in fp16, one in int8 on fp16, and a Resize by a scale."""
    arrays = {
        "w32": np.ones((4, 3, 3, 3), np.float32),
        "w16": np.ones((4, 4, 3, 3), np.float16),
        "wq": np.ones((4, 4, 3, 3), np.int8),
        "scale": np.array(0.1, np.float16),
        "zero": np.array(0, np.int8),
        "sizes": np.array([1, 1, 2, 2], np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w32"], ["a"], "in32", pads=[1] * 4),
        node("Cast", ["a"], ["b"], "down", to=TensorProto.FLOAT16),
        node("Conv", ["b", "w16"], ["c"], "in16", pads=[1] * 4),
        node("Relu", ["c"], ["d"], "relu16"),
        node("QuantizeLinear", ["d", "scale", "zero"], ["dq"]),
        node("DequantizeLinear", ["dq", "scale", "zero"], ["e"]),
        node("DequantizeLinear", ["wq", "scale", "zero"], ["wd"]),
        node("Conv", ["e", "wd"], ["f"], "in8", pads=[1] * 4),
        node("Resize", ["f", "", "sizes"], ["g"], "resize16"),
        node("Cast", ["g"], ["h"], "up", to=TensorProto.FLOAT),
        node("Sigmoid", ["h"], ["density"], "sigmoid32"),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opset = helper.make_opsetid("", 19)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def test_types_of_a_graph_are_those_of_a_strongly_typed_network(builder, tmp_path):
    """Where TensorRT chooses the types it cannot be asked for the graph's; here it can."""
    network, _parser = parse_onnx(
        TRT, probe_features(TRT), *builder, path=tmp_path / "m", data=mixed_graph(), typed=True
    )
    types = graph_types(network)
    names = {network.get_layer(index).name: dtype for index, dtype in types.items()}
    expected = {"in32": "FLOAT", "in16": "HALF", "relu16": "HALF", "in8": "HALF"}
    expected |= {"resize16": "HALF", "sigmoid32": "FLOAT"}
    assert expected.items() <= names.items()
    for index, dtype in types.items():
        assert network.get_layer(index).get_output(0).dtype.name == dtype


def build_with_times(builder, path):
    """Use a timing cache as a build does, without building."""
    config = builder[0].create_builder_config()
    load_timing_cache(config, path)
    save_timing_cache(config, path)


def test_a_timing_cache_is_written_and_read_again(builder, tmp_path):
    """TensorRT for RTX keeps the calls, with no times in the file, and warns of that."""
    path = tmp_path / "new" / "times"
    with pytest.warns(DeprecationWarning, match="no-ops"):
        build_with_times(builder, path)
    first = path.read_bytes()
    assert first
    with pytest.warns(DeprecationWarning, match="no-ops"):
        build_with_times(builder, path)
    assert path.read_bytes() == first
    path.write_bytes(b"of another GPU, or damaged")
    with pytest.warns(DeprecationWarning, match="no-ops"):
        build_with_times(builder, path)
    assert path.read_bytes() == first
