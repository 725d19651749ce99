"""The model repository, read by Triton's own schema."""

import json

import onnx
import pytest
from graphs import small_manifest, small_model

from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.triton import config_text, write_repository
from edgecount.manifest import Manifest
from edgecount.runtime.sidecar import InputShapes


def parse(text):
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    return text_format.Parse(text, schema.ModelConfig())


def test_an_onnx_file_of_any_size():
    config = parse(config_text(small_manifest(), "small", None))
    assert (config.name, config.backend, config.max_batch_size) == ("small", "onnxruntime", 8)
    assert [(t.name, list(t.dims)) for t in (*config.input, *config.output)] == [
        ("image", [3, -1, -1]),
        ("density", [1, -1, -1]),
        ("heat", [1, -1, -1]),
    ]
    assert config.HasField("dynamic_batching")


def test_an_engine_of_one_size():
    shapes = InputShapes.static((1, 3, 64, 96))
    config = parse(config_text(small_manifest(), "small", shapes))
    assert (config.backend, config.max_batch_size) == ("tensorrt", 0)
    assert [list(t.dims) for t in (*config.input, *config.output)] == [
        [1, 3, 64, 96],
        [1, 1, 8, 12],
        [1, 1, 16, 24],
    ]
    assert not config.HasField("dynamic_batching")


def test_an_engine_of_many_sizes():
    shapes = InputShapes((1, 3, 64, 64), (1, 3, 480, 640), (4, 3, 1088, 1920))
    config = parse(config_text(small_manifest(), "small", shapes))
    assert config.max_batch_size == 4
    assert list(config.input[0].dims) == [3, -1, -1]


def test_the_files(tmp_path):
    onnx.save(small_model(), tmp_path / "small.onnx")
    options = ExportOptions(size=(64, 96), threads=1)
    made = export_model(str(tmp_path / "small.onnx"), tmp_path / "made", options)
    model = write_repository(made, tmp_path / "made", tmp_path / "models")
    assert model == tmp_path / "models" / "small"
    written = (model / "1" / "model.onnx").read_bytes()
    assert written == (tmp_path / "made" / "model.onnx").read_bytes()
    assert "dims: [ 3, 64, 96 ]" in (model / "config.pbtxt").read_text()
    manifest = Manifest.from_dict(json.loads((model / "manifest.json").read_text()))
    assert manifest.input.static_size == (64, 96)
