"""Texts as editors save them."""

import os

import pytest

pytest.importorskip("torch")

from edgecount.errors import SourceError
from edgecount.train.data.readers.text import read_json, read_text, read_xml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_texts_are_read_in_the_encoding_that_their_mark_says(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("Mär;1\r\n".encode(encoding))
    assert read_text(path) == "Mär;1\r\n"
    path.write_bytes('{"a": 1}'.encode(encoding))
    assert read_json(path) == {"a": 1}
    path.write_bytes('\n<?xml version="1.0" encoding="utf-8"?><a>ä</a>'.encode(encoding))
    assert read_xml(path).text == "ä"


def test_an_xml_document_may_declare_its_own_encoding(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes('<?xml version="1.0" encoding="iso-8859-1"?><a>ä</a>'.encode("latin-1"))
    assert read_xml(path).text == "ä"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"one\ntw\xf6\n", "line 2: expected text in UTF-8, got the byte 0xf6"),
        ("a,b".encode("utf-16-le"), "got zero bytes: save the file as UTF-8"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, data, message):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_text(path)


def test_a_document_without_end_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(path)


def test_nothing_waits_for_a_writer(tmp_path):
    path = tmp_path / "a.txt"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="not a regular file"):
        read_text(path)
