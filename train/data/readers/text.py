"""Texts of annotations, however an editor saved them: byte order marks, UTF-16, line ends."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from edgecount._documents import unique_keys
from edgecount.errors import SourceError

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def read_bytes(path: Path) -> bytes:
    """Read a file, but nothing that would wait for a writer, such as a FIFO.

    Raises:
        OSError: the file cannot be read.
        SourceError: it is no regular file.
    """
    if path.exists() and not path.is_file():
        raise SourceError(f"{path} is not a regular file")
    return path.read_bytes()


def read_text(path: Path) -> str:
    """Read a text in UTF-8, or in the encoding that its byte order mark says.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text in such an encoding.
    """
    data = read_bytes(path)
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    try:
        text = data[len(mark) :].decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, len(mark) + error.start) + 1
        raise ValueError(
            f"line {line}: expected text in {error.encoding.upper()}, got the byte "
            f"0x{error.object[error.start]:02x}: save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise ValueError("expected text, got zero bytes: save the file as UTF-8")
    return text


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON, has a key twice, or is nested too deeply.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=unique_keys)
    except RecursionError:
        raise ValueError("nested too deeply to be annotations") from None


def read_xml(path: Path) -> ET.Element:
    """Read an XML document and return its root.

    Raises:
        OSError: the file cannot be read.
        ET.ParseError, ValueError: it is no XML.
    """
    data = read_bytes(path)
    if data.startswith(tuple(_MARKS)):
        # As a text: the encoding that the document itself declares may be another.
        return ET.fromstring(read_text(path).strip())  # noqa: S314 (the user's own)
    return ET.fromstring(data.strip())  # noqa: S314 (the user's own)
