"""A small network with a residual sum and two heads, of random weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecount.manifest import METADATA_KEY, InputSpec, Manifest, OutputSpec


def small_manifest() -> Manifest:
    return Manifest(
        name="small",
        version="1.0.0",
        description="Random weights.",
        input=InputSpec(max_side=512),
        outputs=(OutputSpec("density", "density", 8), OutputSpec("heat", "heatmap", 4)),
        licence="none",
    )


def small_model(seed: int = 0, *, gain: float = 1.0, manifest: bool = True) -> onnx.ModelProto:
    """A network of 9 nodes and more; ``gain`` scales what its second layer gives."""
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}

    def conv(name: str, source: str, wide: int, out: int, size: int, stride: int, gain: float = 1):
        scale = gain * np.sqrt(2 / (wide * size * size))
        weights[f"{name}_w"] = rng.normal(0, scale, (out, wide, size, size))
        weights[f"{name}_b"] = rng.normal(0, 0.05, out)
        return helper.make_node(
            "Conv",
            [source, f"{name}_w", f"{name}_b"],
            [name],
            name,
            strides=[stride] * 2,
            pads=[size // 2] * 4,
        )

    nodes = [
        conv("first", "image", 3, 8, 3, 2),
        helper.make_node("Clip", ["first", "low", "high"], ["first_cut"], "first_clip"),
        conv("second", "first_cut", 8, 16, 3, 2, gain),
        helper.make_node("Relu", ["second"], ["second_cut"], "second_relu"),
        conv("third", "second_cut", 16, 16, 1, 1, 1 / gain),
        conv("side", "second_cut", 16, 16, 3, 1, 1 / gain),
        helper.make_node("Add", ["third", "side"], ["sum"], "sum"),
        conv("people", "sum", 16, 1, 3, 2, 0.3),
        helper.make_node("Softplus", ["people"], ["density"], "softplus"),
        conv("heads", "sum", 16, 1, 3, 1),
        helper.make_node("Sigmoid", ["heads"], ["heat"], "sigmoid"),
    ]
    weights["low"], weights["high"] = np.array(0.0), np.array(6.0)
    weights["people_b"] = np.array([-3.0])
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", float32, ["N", 3, "H", "W"])],
        [
            helper.make_tensor_value_info("density", float32, ["N", 1, "H8", "W8"]),
            helper.make_tensor_value_info("heat", float32, ["N", 1, "H4", "W4"]),
        ],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if manifest:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, small_manifest().to_json()
    onnx.checker.check_model(model, full_check=True)
    return model


def pooled_model() -> onnx.ModelProto:
    """A density without a convolution: how far each square of 8 px is from grey, in the mean."""
    nodes = [
        helper.make_node("Abs", ["image"], ["far"]),
        helper.make_node("AveragePool", ["far"], ["mean"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("ReduceSum", ["mean", "channels"], ["density"], keepdims=1),
    ]
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("image", float32, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("density", float32, ["N", 1, "H8", "W8"])],
        [numpy_helper.from_array(np.array([1]), "channels")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    outputs = (OutputSpec("density", "density", 8),)
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    entry.value = dataclasses.replace(small_manifest(), outputs=outputs).to_json()
    return model


def pixels(height: int = 64, width: int = 96, seed: int = 0, batch: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32)


def write_photos(folder: Path, number: int, size: tuple[int, int] = (160, 128)) -> Path:
    """So many blurred pictures of this width and height; returns the folder."""
    rng = np.random.default_rng(0)
    for index in range(number):
        coarse = rng.integers(0, 256, (8, 10, 3), np.uint8)
        assert cv2.imwrite(str(folder / f"{index:02}.png"), cv2.resize(coarse, size))
    return folder


def endless_model(*, nodes: bool = True) -> onnx.ModelProto:
    """A network with a loop that never ends; without nodes in it, nothing looks whether it may."""
    float32, boolean = TensorProto.FLOAT, TensorProto.BOOL
    ends = [
        helper.make_tensor_value_info("go_on", boolean, []),
        helper.make_tensor_value_info("sum_before", float32, []),
    ]
    count = helper.make_tensor_value_info("round", TensorProto.INT64, [])
    added = [helper.make_node("Identity", ["go_on"], ["goes_on"])]
    added += [helper.make_node("Add", ["sum_before", "tiny"], ["sum_after"])]
    results = [
        helper.make_tensor_value_info("goes_on", boolean, []),
        helper.make_tensor_value_info("sum_after", float32, []),
    ]
    tiny = numpy_helper.from_array(np.array(1e-30, np.float32), "tiny")
    body = helper.make_graph(
        added if nodes else [], "body", [count, *ends], results if nodes else ends, [tiny]
    )
    model = small_model()
    loop = helper.make_node("Loop", ["", "always", "nothing"], ["total"], "loop", body=body)
    shift = helper.make_node("Add", ["density", "total"], ["shifted"], "shift")
    model.graph.node.extend([loop, shift])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
    for node in model.graph.node:
        node.output[:] = ["plain" if name == "density" else name for name in node.output]
    shift = model.graph.node[-1]
    shift.input[0], shift.output[0] = "plain", "density"
    return model
