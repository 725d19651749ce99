"""What an ONNX file holds, read from its bytes: neither onnx nor an engine need be installed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edgecount.errors import ModelError

# Field numbers of onnx.proto: ModelProto, OperatorSetIdProto, GraphProto, TensorProto.
_MODEL_GRAPH, _MODEL_OPSETS = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_INITIALIZERS = 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_OUTSIDE = 1, 2, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# FLOAT, UINT8, INT8, FLOAT16, BFLOAT16: weights. Whole numbers of 64 bits are shapes and axes.
_WEIGHT_TYPES = {1, 2, 3, 10, 16}

_Field = tuple[int, "int | memoryview"]


class OnnxFacts(NamedTuple):
    """Facts of a model file.

    Attributes:
        size: bytes, those of the files beside it that hold its weights included.
        opset: version of the standard operators, 0 if the file does not say.
        parameters: weights in the graph.
    """

    size: int
    opset: int
    parameters: int


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Walk the file's protobuf.

    Raises:
        ModelError: the file is missing, unreadable or not an ONNX.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    opset = parameters = graphs = 0
    beside: set[str] = set()
    try:
        for number, value in _fields(memoryview(data)):
            if number == _MODEL_OPSETS:
                opset = max(opset, _standard_opset(value))
            elif number == _MODEL_GRAPH:
                parameters += _parameters(value)
                beside |= _locations(value)
                graphs += 1
    except (IndexError, TypeError):
        graphs = 0
    if graphs == 0:
        raise ModelError(f"{path} is not an ONNX model, or is damaged")
    return OnnxFacts(len(data) + _size_of(path.parent, beside), opset, parameters)


def _size_of(folder: Path, names: set[str]) -> int:
    """Bytes of files in a folder; whoever runs the model says which is missing."""
    size = 0
    for name in names:
        with suppress(OSError, ValueError):
            size += (folder / name).stat().st_size
    return size


def _standard_opset(entry: int | memoryview) -> int:
    domain, version = b"", 0
    for number, value in _fields(entry):
        if number == _OPSET_DOMAIN and isinstance(value, memoryview):
            domain = bytes(value)
        elif number == _OPSET_VERSION and isinstance(value, int):
            version = value
    return version if domain in (b"", b"ai.onnx") else 0


def _parameters(graph: int | memoryview) -> int:
    tensors = (value for number, value in _fields(graph) if number == _GRAPH_INITIALIZERS)
    return sum(_weights(tensor) for tensor in tensors)


def _locations(graph: int | memoryview) -> set[str]:
    """Names of the files that hold weights of a graph, as it is written in it."""
    found: set[str] = set()
    for number, tensor in _fields(graph):
        if number != _GRAPH_INITIALIZERS:
            continue
        for part, entry in _fields(tensor):
            if part == _TENSOR_OUTSIDE:
                texts = dict(_fields(entry))
                key, name = texts.get(_ENTRY_KEY), texts.get(_ENTRY_VALUE)
                if not (isinstance(key, memoryview) and isinstance(name, memoryview)):
                    continue
                if bytes(key) == b"location":
                    found.add(bytes(name).decode("utf-8", "replace"))
    return found


def _weights(tensor: int | memoryview) -> int:
    dims: list[int] = []
    kind = 0
    for number, value in _fields(tensor):
        if number == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _packed(value)
    return math.prod(dims) if kind in _WEIGHT_TYPES else 0


def _packed(data: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _fields(message: int | memoryview) -> Iterator[_Field]:
    """Number and value of each field of a message; TypeError or IndexError if it is none."""
    if isinstance(message, int):
        raise TypeError
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | memoryview
        if tag & 7 == _VARINT:
            value, at = _varint(message, at)
        else:
            size, at = _length(message, at, tag & 7)
            if at + size > len(message):
                raise IndexError
            value, at = message[at : at + size], at + size
        yield tag >> 3, value


def _length(message: memoryview, at: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _varint(message, at)
    return {_FIXED64: 8, _FIXED32: 4}.get(wire, len(message) + 1), at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
