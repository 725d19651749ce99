"""Size, operator version, weights and kind of numbers of an ONNX file, without the onnx package."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edgecount._files import require_regular
from edgecount.errors import EdgeCountError, ModelError
from edgecount.runtime.models.onnx_metadata import read_entry
from edgecount.runtime.models.protobuf import DamagedError, open_onnx, read_fields, read_varint

# Field numbers of onnx.proto: ModelProto, OperatorSetIdProto, GraphProto, FunctionProto, NodeProto,
# TensorProto.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODES, _GRAPH_INITIALIZERS = 1, 5
_FUNCTION_NODES = 7
_NODE_TYPE = 4
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_EXTERNAL_DATA = 1, 2, 13
# FLOAT, UINT8, INT8, FLOAT16, BFLOAT16: weights. Whole numbers of 64 bits are shapes and axes.
_WEIGHT_TYPES = {1, 2, 3, 10, 16}
_FLOAT16 = 10
# Operators that bring numbers to INT8, or multiply in it.
# Operators that hold graphs of their own, which may run any number of times.
_CONTROL_FLOW = {b"If", b"Loop", b"Scan"}
_INT8_NODES = {b"QuantizeLinear", b"QLinearConv", b"ConvInteger", b"DynamicQuantizeLinear"}


class OnnxFacts(NamedTuple):
    """Facts of a model file.

    Attributes:
        size: bytes, those of the files beside it that hold its weights included.
        opset: version of the standard operators, 0 if the file does not say.
        parameters: number of weights in the graph.
        beside: names of the files beside it that hold its weights.
    """

    size: int
    opset: int
    parameters: int
    beside: tuple[str, ...] = ()


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Return the facts of an ONNX file.

    Raises:
        ModelError: the file is missing, unreadable or not an ONNX.
    """
    opset, parameters, has_graph = 0, 0, False
    locations = set()
    with open_onnx(path) as (file, size):
        for field in read_fields(file, size):
            if field.number == _MODEL_OPSETS:
                opset = max(opset, _standard_opset(file, field.size))
            elif field.number == _MODEL_GRAPH:
                has_graph = True
                for inner in read_fields(file, field.size):
                    if inner.number == _GRAPH_INITIALIZERS:
                        weights, location, _ = _read_tensor(file, inner.size)
                        parameters += weights
                        locations.add(location)
        if not has_graph:
            raise DamagedError("it holds no graph")
    beside = tuple(sorted(locations - {""}))
    for name in beside:
        with suppress(OSError, ValueError):  # whoever runs the model says which is missing
            size += (path.parent / name).stat().st_size
    return OnnxFacts(size, opset, parameters, beside)


def stored_precision(path: Path) -> str:
    """Return the numbers that an ONNX file is made for: "float32", "float16" or "int8".

    Of a file with several it is the coarsest that much of it is in.

    Raises:
        ModelError: the file is missing, unreadable or not an ONNX.
    """
    weights = {False: 0, True: 0}  # by whether they are float16
    with open_onnx(path) as (file, size):
        for field in read_fields(file, size):
            if field.number != _MODEL_GRAPH:
                continue
            for inner in read_fields(file, field.size):
                if inner.number == _GRAPH_NODES and _node_type(file, inner.size) in _INT8_NODES:
                    return "int8"
                if inner.number == _GRAPH_INITIALIZERS:
                    number, _, kind = _read_tensor(file, inner.size)
                    weights[kind == _FLOAT16] += number
    return "float16" if weights[True] > weights[False] else "float32"


def has_control_flow(path: Path) -> bool:
    """Return True if parts of a graph run on conditions or in loops, perhaps without an end.

    Raises:
        ModelError: the file is missing, unreadable or not an ONNX.
    """
    nodes = {_MODEL_GRAPH: _GRAPH_NODES, _MODEL_FUNCTIONS: _FUNCTION_NODES}
    with open_onnx(path) as (file, size):
        for field in read_fields(file, size):
            if field.number not in nodes:
                continue
            for inner in read_fields(file, field.size):
                if inner.number != nodes[field.number]:
                    continue
                if _node_type(file, inner.size) in _CONTROL_FLOW:
                    return True
    return False


def _node_type(file: BinaryIO, size: int) -> bytes:
    for field in read_fields(file, size):
        if field.number == _NODE_TYPE:
            return file.read(field.size)
    return b""


def check_beside(path: Path) -> None:
    """Refuse a model whose weights lie in what reading may wait for without end, such as a FIFO.

    Raises:
        ModelError: they do.
    """
    if all(file.is_file() or file.is_dir() for file in path.parent.iterdir()):
        return
    for name in read_onnx_facts(path).beside:
        require_regular(path.parent / name)


def files_state(path: Path | None) -> tuple[tuple[int, ...], ...]:
    """Return what changes when a model's file, or one beside it with its weights, is replaced.

    A model that has no file has a state that stays.
    """
    found: list[tuple[int, ...]] = []
    if path is None:
        return ()
    with suppress(EdgeCountError, OSError, ValueError):  # whoever loads it says what is wrong
        for file in (path, *(path.parent / name for name in read_onnx_facts(path).beside)):
            status = file.stat()
            found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def check_unchanged(path: Path | None, state: tuple[tuple[int, ...], ...]) -> None:
    """Refuse to load a model's file once more if it is another one by now.

    Args:
        path: the model's file; None: it has none.
        state: its `files_state` when it was loaded first.

    Raises:
        ModelError: it was replaced since.
    """
    if files_state(path) != state:
        raise ModelError(f"{path} was replaced since it was opened: make a new counter for it")


def _standard_opset(file: BinaryIO, size: int) -> int:
    domain, version = b"", 0
    for field in read_fields(file, size):
        if field.number == _OPSET_DOMAIN:
            domain = file.read(field.size)
        elif field.number == _OPSET_VERSION:
            version = field.value
    return version if domain in (b"", b"ai.onnx") else 0


def _read_tensor(file: BinaryIO, size: int) -> tuple[int, str, int]:
    """Return a constant's number of weights, the file that holds them, if another, and type."""
    dims: list[int] = []
    kind, location = 0, ""
    for field in read_fields(file, size):
        if field.number == _TENSOR_TYPE:
            kind = field.value
        elif field.number == _TENSOR_DIMS:  # a list of numbers, or a field each
            end = file.tell() + field.size
            dims += [] if field.size else [field.value]
            while file.tell() < end:
                dims.append(read_varint(file))
        elif field.number == _TENSOR_EXTERNAL_DATA:
            key, value = read_entry(file, field.size)
            location = value if key == "location" else location
    return math.prod(dims) if kind in _WEIGHT_TYPES else 0, location, kind
