"""Reading metadata out of ONNX files, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from edgecount.errors import ModelError
from edgecount.manifest import METADATA_KEY, Manifest
from edgecount.runtime.models.onnx_metadata import read_metadata


def outcome(path: Path) -> dict[str, str] | str:
    """Return the metadata, or the message of the error."""
    try:
        return read_metadata(path)
    except ModelError as error:
        return str(error)


def test_reads_what_onnx_wrote(tiny_model: Path) -> None:
    expected = {entry.key: entry.value for entry in onnx.load(tiny_model).metadata_props}
    assert read_metadata(tiny_model) == expected
    assert METADATA_KEY in expected


def test_reads_every_other_field_of_a_model(tiny_model: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_model)
    model.producer_name, model.producer_version, model.domain = "p", "1.0", "d"
    model.model_version, model.doc_string = 2**62, "text " * 1000
    helper.set_model_props(model, {"a": "", "ключ": "значение" * 50_000})
    onnx.save(model, tmp_path / "m.onnx")
    assert read_metadata(tmp_path / "m.onnx") == {"a": "", "ключ": "значение" * 50_000}


def test_a_model_without_metadata(
    make_manifest: Callable[..., Manifest],
    make_graph: Callable[[Manifest], onnx.ModelProto],
    tmp_path: Path,
) -> None:
    onnx.save(make_graph(make_manifest()), tmp_path / "bare.onnx")
    assert read_metadata(tmp_path / "bare.onnx") == {}


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such model file: .*none.onnx"):
        read_metadata(tmp_path / "none.onnx")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        read_metadata(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"this is a text and no model\n" * 10, "is not an ONNX model, or is damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not an ONNX model, or is damaged"),
        (b"\x08\x08", "holds no graph"),
        (b"\x08" + b"\xff" * 12, "not a protobuf"),
        (b"\x00\x01", "not a protobuf"),
        (b"\x3a\xff\xff\x03ab", "bytes are missing"),
        (b"\x72\x04\x0a\x02\xff\xfe", "not UTF-8"),
    ],
)
def test_other_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_metadata(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_model_is_an_error_or_lacks_its_last_fields(
    tiny_model: Path, tmp_path: Path, share: float
) -> None:
    data = tiny_model.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(share * len(data))])
    found = outcome(path)
    if isinstance(found, str):
        assert str(path) in found
    else:
        assert len(found) < 2


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_clear_error_or_a_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.onnx"
    path.write_bytes(content)
    found = outcome(path)
    assert isinstance(found, dict) or str(path) in found
