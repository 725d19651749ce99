"""Engines that take the image in float16: half the bytes between preprocessing and engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecount.export.graph.queries import consumers

if TYPE_CHECKING:
    import onnx


def with_fp16_input(graph: bytes) -> bytes | str:
    """Return an ONNX graph whose image is float16, or why it stays as it is.

    The casts behind the image go, and what is computed is the same: preprocessing on a GPU rounds
    to the nearest float16 and to even, as the casts do.

    Args:
        graph: an ONNX file's content.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:  # of an engine that is built again where it runs
        return "the package onnx, which changes the input's type, is not installed"
    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError:
        return "it is no ONNX file"
    stored = {weight.name for weight in model.graph.initializer}
    images = [tensor for tensor in model.graph.input if tensor.name not in stored]
    outputs = {output.name for output in model.graph.output}
    if len(images) != 1:
        return f"it has {len(images)} inputs"
    readers = consumers(model).get(images[0].name, [])
    read_otherwise = images[0].name in outputs or not all(map(_is_to_fp16, readers))
    if not readers or read_otherwise or _has_graphs_within(model):
        return "some of its nodes read the image in float32, or graphs within nodes may"
    halves = {cast.output[0] for cast in readers}
    if halves & outputs:
        return "it gives the image back"
    _retype(model, images[0], halves)
    changed: bytes = model.SerializeToString()
    return changed


def _has_graphs_within(model: onnx.ModelProto) -> bool:
    return any(one.HasField("g") for node in model.graph.node for one in node.attribute)


def _is_to_fp16(node: onnx.NodeProto) -> bool:
    from onnx import TensorProto

    to = [attribute.i for attribute in node.attribute if attribute.name == "to"]
    return node.op_type == "Cast" and to == [TensorProto.FLOAT16]


def _retype(model: onnx.ModelProto, image: onnx.ValueInfoProto, halves: set[str]) -> None:
    """Make the image float16, in the place of what casts made of it."""
    from onnx import TensorProto

    image.type.tensor_type.elem_type = TensorProto.FLOAT16
    nodes = [node for node in model.graph.node if not halves.intersection(node.output)]
    for node in nodes:
        for index, name in enumerate(node.input):
            if name in halves:
                node.input[index] = image.name
    described = [info for info in model.graph.value_info if info.name not in halves]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.value_info.extend(described)
