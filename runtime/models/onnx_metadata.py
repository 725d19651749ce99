"""The metadata of an ONNX file, read without the onnx package or an engine."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from edgecount.runtime.models.protobuf import DamagedError, open_onnx, read_fields

# Field numbers of ModelProto and of its StringStringEntryProto, in onnx.proto.
_GRAPH = 7
_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2

# A manifest is a few kilobytes; a damaged length must not allocate gigabytes.
_LARGEST_PROPERTY = 16 * 2**20


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata_props of an ONNX file.

    Raises:
        ModelError: the file is missing, unreadable, empty, truncated, or not an ONNX.
    """
    found: dict[str, str] = {}
    has_graph = False
    with open_onnx(path) as (file, size):
        for field in read_fields(file, size):
            has_graph |= field.number == _GRAPH
            if field.number == _METADATA_PROPS:
                key, value = read_entry(file, field.size)
                found[key] = value
        if not has_graph:
            raise DamagedError("it holds no graph")
    return found


def read_entry(file: BinaryIO, size: int) -> tuple[str, str]:
    """Read a StringStringEntryProto of ``size`` bytes: its key and its value.

    Raises:
        DamagedError: it is no such message.
    """
    texts = {_KEY: "", _VALUE: ""}
    for field in read_fields(file, size):
        if field.size > _LARGEST_PROPERTY:
            raise DamagedError(f"a metadata entry of {field.size} bytes")
        if field.number in texts:
            try:
                texts[field.number] = file.read(field.size).decode()
            except UnicodeDecodeError:
                raise DamagedError("a metadata entry is not UTF-8") from None
    return texts[_KEY], texts[_VALUE]
