"""The metadata of an ONNX file, read without the onnx package or an engine.

An ONNX file is one protobuf message, ModelProto. Only its top-level fields are walked, and the
graph with its weights is skipped by its length, so a file of any size is read in no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgecount.errors import ModelError

__all__ = ["read_metadata"]

# Field numbers of ModelProto and of its StringStringEntryProto, in onnx.proto.
_GRAPH = 7
_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
# A manifest is a few kilobytes; a damaged length must not allocate gigabytes.
_LARGEST_PROPERTY = 16 * 2**20


class _DamagedError(Exception):
    """The bytes are not a protobuf message, or end too early."""


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata_props of an ONNX file.

    Raises:
        ModelError: the file is missing, unreadable, empty, truncated, or not an ONNX.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise ModelError(f"{path} is empty: expected an ONNX model")
            return _read_model(file, size)
    except FileNotFoundError:
        raise ModelError(f"no such model file: {path}") from None
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    except _DamagedError as error:
        raise ModelError(f"{path} is not an ONNX model, or is damaged: {error}") from None


def _read_model(file: BinaryIO, size: int) -> dict[str, str]:
    found: dict[str, str] = {}
    has_graph = False
    for number, length in _fields(file, size):
        if number == _METADATA_PROPS:
            key, value = _read_entry(file, length)
            found[key] = value
        else:
            has_graph |= number == _GRAPH
            file.seek(length, 1)
    if not has_graph:
        raise _DamagedError("it holds no graph")
    return found


def _read_entry(file: BinaryIO, length: int) -> tuple[str, str]:
    end = file.tell() + length
    texts = {_KEY: "", _VALUE: ""}
    for number, size in _fields(file, end):
        if size > _LARGEST_PROPERTY:
            raise _DamagedError(f"a metadata entry of {size} bytes")
        data = file.read(size)
        if number in texts:
            try:
                texts[number] = data.decode()
            except UnicodeDecodeError:
                raise _DamagedError("a metadata entry is not UTF-8") from None
    return texts[_KEY], texts[_VALUE]


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Number and length of each field up to `end`; the caller moves past the field's bytes."""
    while file.tell() < end:
        tag = _read_varint(file)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _read_varint(file)
            length = 0
        elif wire == _BYTES:
            length = _read_varint(file)
        elif wire in _FIXED_SIZES:
            length = _FIXED_SIZES[wire]
        else:
            raise _DamagedError("it is not a protobuf message")
        if number == 0:
            raise _DamagedError("it is not a protobuf message")
        if file.tell() + length > end:
            missing = file.tell() + length - end
            raise _DamagedError(f"{missing} bytes are missing at its end, so it is cut off")
        yield number, length


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise _DamagedError("it ends in the middle of a field")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise _DamagedError("it is not a protobuf message")
