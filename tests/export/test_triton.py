"""The model repository, read by Triton's own schema."""

import dataclasses
import json
import logging
import resource

import onnx
import pytest
from graphs import small_manifest, small_model, write_photos

from edgecount.errors import OutputError
from edgecount.export.options import EngineOptions, ExportOptions
from edgecount.export.package import Export, FileRecord, export_model
from edgecount.export.tensorrt.network import TensorRecord
from edgecount.export.tensorrt.record import EngineRecord
from edgecount.export.triton import config_text, engine_shapes, onnx_shapes, write_repository
from edgecount.manifest import Manifest, OutputSpec
from edgecount.runtime.models.sidecar import InputShapes


def parse(text):
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    return text_format.Parse(text, schema.ModelConfig())


def tensors(config):
    return [(t.name, list(t.dims)) for t in (*config.input, *config.output)]


def of_onnx(model, *, most=8):
    manifest = small_manifest()
    shapes = onnx_shapes(manifest, model.SerializeToString())
    return parse(config_text(manifest, "small", "onnxruntime", shapes, most))


def of_engine(shapes):
    manifest = small_manifest()
    stated = engine_shapes(manifest, shapes)
    return parse(config_text(manifest, "small", "tensorrt", stated, shapes.max[0]))


def with_sides(model, **sides):
    """The model with these axes fixed, by the first tensor's names for them."""
    axes = {"N": 0, "H": 2, "W": 3}
    for name, side in sides.items():
        model.graph.input[0].type.tensor_type.shape.dim[axes[name]].dim_value = side
    return model


def test_an_onnx_file_of_any_size():
    config = of_onnx(small_model())
    assert (config.name, config.backend, config.max_batch_size) == ("small", "onnxruntime", 8)
    assert tensors(config) == [
        ("image", [3, -1, -1]),
        ("density", [1, -1, -1]),
        ("heat", [1, -1, -1]),
    ]
    assert config.HasField("dynamic_batching")
    assert not config.instance_group


def test_clients_read_the_manifest_from_the_server():
    told = of_onnx(small_model()).parameters["edgecount_manifest"].string_value
    assert Manifest.from_json(told) == small_manifest()


def test_an_onnx_file_of_a_fixed_batch():
    model = with_sides(small_model(), N=2)
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_value = 2
    config = of_onnx(model)
    assert config.max_batch_size == 0
    assert tensors(config) == [
        ("image", [2, 3, -1, -1]),
        ("density", [2, 1, -1, -1]),
        ("heat", [2, 1, -1, -1]),
    ]
    assert not config.HasField("dynamic_batching")


def test_an_onnx_file_with_one_side_fixed():
    assert tensors(of_onnx(with_sides(small_model(), H=64)))[0] == ("image", [3, 64, -1])


def test_an_engine_of_one_size():
    config = of_engine(InputShapes.static((1, 3, 64, 96)))
    assert (config.backend, config.max_batch_size) == ("tensorrt", 0)
    assert tensors(config) == [
        ("image", [1, 3, 64, 96]),
        ("density", [1, 1, 8, 12]),
        ("heat", [1, 1, 16, 24]),
    ]
    assert not config.HasField("dynamic_batching")


def test_a_detector_states_the_channels_of_its_boxes():
    outputs = (OutputSpec("s", "scores", 16, anchors=3), OutputSpec("b", "boxes", 16, anchors=3))
    manifest = dataclasses.replace(small_manifest(), outputs=outputs)
    stated = engine_shapes(manifest, InputShapes.static((1, 3, 64, 96)))
    assert stated == {"image": [1, 3, 64, 96], "s": [1, 3, 4, 6], "b": [1, 12, 4, 6]}


def test_an_engine_of_many_sizes():
    config = of_engine(InputShapes((1, 3, 64, 64), (1, 3, 480, 640), (4, 3, 1088, 1920)))
    assert config.max_batch_size == 4
    assert list(config.input[0].dims) == [3, -1, -1]


def test_an_engine_of_one_size_and_many_batches():
    config = of_engine(InputShapes((1, 3, 64, 96), (4, 3, 64, 96), (4, 3, 64, 96)))
    assert config.max_batch_size == 4
    assert tensors(config)[1] == ("density", [1, 8, 12])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Export, object]:
    place = tmp_path_factory.mktemp("made")
    onnx.save(small_model(), place / "small.onnx")
    (place / "photos").mkdir()
    options = ExportOptions(
        size=(64, 96), verify=write_photos(place / "photos", 2), threads=1, batch=3
    )
    return export_model(str(place / "small.onnx"), place / "out", options), place / "out"


def test_the_files(made, tmp_path):
    export, folder = made
    model = write_repository(export, folder, tmp_path / "models")
    assert model == tmp_path / "models" / "small"
    written = (model / "1" / "model.onnx").read_bytes()
    assert written == (folder / "model.onnx").read_bytes()
    config = parse((model / "config.pbtxt").read_text())
    assert (config.max_batch_size, list(config.input[0].dims)) == (3, [3, 64, 96])
    manifest = Manifest.from_dict(json.loads((model / "manifest.json").read_text()))
    assert manifest.input.static_size == (64, 96)


def engine(folder, precision, *, target="tensorrt", refused=False) -> FileRecord:
    """A record as an export leaves it, of a plan that nothing here could build."""
    path = folder / f"model.{precision}.engine"
    path.write_bytes(precision.encode())
    record = EngineRecord(
        path, 4, "", "", 1.0, "10.3.0", ("8.7",), None, None, InputShapes.static((1, 3, 64, 96)),
        (), True, {}, None, EngineOptions(target, precision=precision), "jetson",
    )  # fmt: skip
    return FileRecord(path, 4, "", engine=record, overridden=refused)


@pytest.mark.parametrize(
    ("engines", "served"),
    [
        ([("fp16", {}), ("int8", {})], b"fp16"),
        ([("fp16", {"refused": True}), ("int8", {})], b"int8"),
        ([("fp32", {}), ("int8", {"refused": True})], b"fp32"),
    ],
)
def test_the_engine_that_counts_best_is_served(made, tmp_path, engines, served):
    export, folder = made
    records = [engine(tmp_path, name, **options) for name, options in engines]
    export = dataclasses.replace(export, files=[*export.files, *records])
    model = write_repository(export, folder, tmp_path / "models")
    assert (model / "1" / "model.plan").read_bytes() == served


def test_the_server_is_told_of_a_float16_input(made, tmp_path):
    export, folder = made
    record = engine(tmp_path, "fp16")
    tensors = (
        TensorRecord("image", "input", "float16", (1, 3, 64, 96)),
        TensorRecord("density", "output", "float32", (1, 1, 8, 12)),
    )
    record = dataclasses.replace(record, engine=dataclasses.replace(record.engine, tensors=tensors))
    export = dataclasses.replace(export, files=[*export.files, record])
    model = write_repository(export, folder, tmp_path / "models")
    config = parse((model / "config.pbtxt").read_text())
    half, single = 10, 11  # TYPE_FP16 and TYPE_FP32 in Triton's schema
    assert [tensor.data_type for tensor in config.input] == [half]
    assert {tensor.data_type for tensor in config.output} == {single}


def test_an_engine_for_rtx_is_not_served(made, tmp_path, caplog):
    export, folder = made
    records = [engine(tmp_path, "fp16", target="tensorrt-rtx")]
    export = dataclasses.replace(export, files=[*export.files, *records])
    with caplog.at_level(logging.WARNING, "edgecount"):
        model = write_repository(export, folder, tmp_path / "models")
    assert [path.name for path in (model / "1").iterdir()] == ["model.onnx"]
    assert "runs no engines of TensorRT for RTX, so that it gets model.onnx" in caplog.text


def test_an_earlier_model_is_replaced_only_on_request(made, tmp_path):
    export, folder = made
    plan = engine(tmp_path, "fp16")
    write_repository(
        dataclasses.replace(export, files=[*export.files, plan]), folder, tmp_path / "models"
    )
    with pytest.raises(OutputError, match="small exists: choose another `repository`, or add"):
        write_repository(export, folder, tmp_path / "models")
    options = dataclasses.replace(export.options, overwrite=True)
    export = dataclasses.replace(export, options=options)
    model = write_repository(export, folder, tmp_path / "models")
    assert [path.name for path in (model / "1").iterdir()] == ["model.onnx"]


def test_a_full_disk_leaves_nothing(made, tmp_path):
    export, folder = made
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*1/model\.onnx: File too large"):
            write_repository(export, folder, tmp_path / "models")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "models").iterdir())
