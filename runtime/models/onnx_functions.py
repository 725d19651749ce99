"""A guard against ONNX files whose functions, written out, are more nodes than anything can run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edgecount.errors import ModelError
from edgecount.runtime.models.protobuf import open_onnx, read_fields

# Field numbers of onnx.proto: ModelProto, FunctionProto, GraphProto, NodeProto, AttributeProto.
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_FUNCTION_NAME, _FUNCTION_NODES, _FUNCTION_DOMAIN = 1, 7, 10
_GRAPH_NODES = 1
_NODE_TYPE, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_GRAPHS = (6, 11)

_MOST_NODES = 1_000_000  # a network of tens of thousands is large
_MOST_LEVELS = 100  # of functions that call each other: no exporter writes more than a few

_Key = tuple[bytes, bytes]  # domain and name


class _Function(NamedTuple):
    key: _Key
    calls: list[_Key]


def check_functions(path: Path) -> None:
    """Refuse a file whose functions call each other too often, or in circles.

    Thirty that call each other twice are a thousand million nodes: ONNX Runtime writes them out
    when it opens the file, and neither ends nor stops.

    Raises:
        ModelError: they do, or the file cannot be read.
    """
    functions: dict[_Key, list[_Key]] = {}
    with open_onnx(path) as (file, size):
        for field in read_fields(file, size):
            if field.number == _MODEL_FUNCTIONS:
                key, calls = _read_function(file, field.size)
                functions[key] = calls
        if not functions:
            return
        file.seek(0)
        called: list[_Key] = []
        for field in read_fields(file, size):
            if field.number == _MODEL_GRAPH:
                called += _calls(file, field.size, _GRAPH_NODES)
    sizes: dict[_Key, int] = {}
    found = sum(_size(key, functions, sizes, _MOST_LEVELS, path) for key in called)
    if found > _MOST_NODES:
        raise ModelError(
            f"{path}: its functions, written out, are {found} nodes, expected at most {_MOST_NODES}"
        )


def _size(
    key: _Key, functions: dict[_Key, list[_Key]], sizes: dict[_Key, int], levels: int, path: Path
) -> int:
    """Return the number of nodes that one call is, written out."""
    if key not in functions:
        return 1
    if levels == 0:
        raise ModelError(f"{path}: its functions call each other in circles, or too deeply")
    if key not in sizes:
        calls = functions[key]
        sizes[key] = sum(_size(call, functions, sizes, levels - 1, path) for call in calls)
    return sizes[key]


def _read_function(file: BinaryIO, size: int) -> _Function:
    texts = {_FUNCTION_NAME: b"", _FUNCTION_DOMAIN: b""}
    calls: list[_Key] = []
    for field in read_fields(file, size):
        if field.number in texts:
            texts[field.number] = file.read(field.size)
        elif field.number == _FUNCTION_NODES:
            calls += _read_node(file, field.size)
    return _Function((texts[_FUNCTION_DOMAIN], texts[_FUNCTION_NAME]), calls)


def _calls(file: BinaryIO, size: int, nodes: int) -> Iterator[_Key]:
    """Yield what the nodes of a graph call, those of its branches and loops too."""
    for field in read_fields(file, size):
        if field.number == nodes:
            yield from _read_node(file, field.size)


def _read_node(file: BinaryIO, size: int) -> list[_Key]:
    texts = {_NODE_TYPE: b"", _NODE_DOMAIN: b""}
    inner: list[_Key] = []
    for field in read_fields(file, size):
        if field.number in texts:
            texts[field.number] = file.read(field.size)
        elif field.number == _NODE_ATTRIBUTES:
            for part in read_fields(file, field.size):
                if part.number in _ATTRIBUTE_GRAPHS:
                    inner += _calls(file, part.size, _GRAPH_NODES)
    return [(texts[_NODE_DOMAIN], texts[_NODE_TYPE]), *inner]
