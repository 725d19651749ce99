"""A reader of protobuf files, such as ONNX models, field by field.

Messages that nobody asks for, such as a graph with its weights, are skipped by their length, so
that a file of any size is read in no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from edgecount._files import require_regular
from edgecount.errors import ModelError

_VARINT, _BYTES = 0, 2
_FIXED_SIZES = {1: 8, 5: 4}  # wire types of numbers of a fixed number of bytes


class DamagedError(Exception):
    """The bytes are not a protobuf message, or end too early."""


class Field(NamedTuple):
    """A field of a message, whose content the file stands at.

    Attributes:
        number: the field's number in the .proto file.
        value: the number that a field of wire type varint holds; 0 for all others.
        size: bytes of the content, which the reader moves past; 0 for a varint.
    """

    number: int
    value: int
    size: int


@contextmanager
def open_onnx(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open an ONNX file, and give it and its size in bytes.

    Raises:
        ModelError: the file is missing, unreadable, empty or no regular one, or its reader met a
            `DamagedError`.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise ModelError(f"{path} is empty: expected an ONNX model")
            yield file, size
    except FileNotFoundError:
        raise ModelError(f"no such model file: {path}") from None
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    except DamagedError as error:
        raise ModelError(f"{path} is not an ONNX model, or is damaged: {error}") from None


def read_fields(file: BinaryIO, size: int) -> Iterator[Field]:
    """Yield the fields of the message in the next ``size`` bytes.

    Whoever takes a field may read its content, in part or whole; what is left is skipped.

    Raises:
        DamagedError: the bytes are not a message.
    """
    end = file.tell() + size
    while file.tell() < end:
        tag = read_varint(file)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (_VARINT, _BYTES, *_FIXED_SIZES):
            raise DamagedError("it is not a protobuf message")
        value = read_varint(file) if wire == _VARINT else 0
        length = read_varint(file) if wire == _BYTES else _FIXED_SIZES.get(wire, 0)
        after = file.tell() + length
        if after > end:
            raise DamagedError(f"{after - end} bytes are missing at its end, so it is cut off")
        yield Field(number, value, length)
        file.seek(after)


def read_varint(file: BinaryIO) -> int:
    """Read a whole number: 7 bits a byte, the lowest first, the top bit set on all but the last."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise DamagedError("it ends in the middle of a field")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise DamagedError("it is not a protobuf message")
