"""Graphs of two convolutions in the precisions that engines are built in."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def tensor(name, values, dtype):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def conv(name, source, target, *, precision):
    """A 3 x 3 convolution of 4 channels, in a precision or quantized around it."""
    rng = np.random.default_rng(0)
    channels = 3 if source in ("image", "half") else 4
    dtype = np.float16 if precision.endswith("fp16") else np.float32
    kernel = f"{name}.w"
    if not precision.startswith("int8"):
        tensors = [tensor(kernel, rng.normal(size=(4, channels, 3, 3)), dtype)]
        return [helper.make_node("Conv", [source, kernel], [target], name, pads=[1] * 4)], tensors
    tensors = [
        tensor(f"{name}.scale", 0.05, dtype),
        tensor(f"{name}.zero", 0, np.int8),
        tensor(f"{name}.q", rng.integers(-99, 99, (4, channels, 3, 3)), np.int8),
        tensor(f"{name}.scales", np.full(4, 0.01), dtype),
        tensor(f"{name}.zeros", np.zeros(4), np.int8),
    ]
    per_image, per_channel = (
        [f"{name}.scale", f"{name}.zero"],
        [f"{name}.scales", f"{name}.zeros"],
    )
    nodes = [
        helper.make_node("QuantizeLinear", [source, *per_image], [f"{name}.a"]),
        helper.make_node("DequantizeLinear", [f"{name}.a", *per_image], [f"{name}.b"]),
        helper.make_node("DequantizeLinear", [f"{name}.q", *per_channel], [kernel], axis=0),
        helper.make_node("Conv", [f"{name}.b", kernel], [target], name, pads=[1] * 4),
    ]
    return nodes, tensors


def write_graph(path, first, second, *, shape=(1, 3, 64, 64), before_output=None):
    """Two convolutions with a Relu between them, each "fp32", "fp16", "int8" or "int8-fp16"."""
    half = first.endswith("fp16")
    nodes, tensors = conv("one", "half" if half else "image", "a", precision=first)
    if half:
        nodes.insert(0, helper.make_node("Cast", ["image"], ["half"], "down", to=HALF))
    nodes.append(helper.make_node("Relu", ["a"], ["b"], "relu"))
    more, added = conv("two", "b", "c", precision=second)
    nodes += more
    last = "c"
    if before_output:
        nodes.append(helper.make_node(before_output, [last], ["d"], "odd"))
        nodes.append(helper.make_node(before_output, ["d"], ["e"], "odder"))
        last = "e"
    nodes.append(helper.make_node("Cast", [last], ["density"], "up", to=FLOAT))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", FLOAT, list(shape))],
        [helper.make_tensor_value_info("density", FLOAT, None)],
        tensors + added,
    )
    opset = helper.make_opsetid("", 19 if "int8-fp16" in (first, second) else 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path
