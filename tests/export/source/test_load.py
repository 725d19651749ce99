"""Models that an export starts from."""

import json

import numpy as np
import onnx
import pytest
from graphs import small_manifest, small_model
from onnx import TensorProto, helper, numpy_helper

from edgecount import EdgeCounter
from edgecount.errors import ConfigError, ModelError
from edgecount.export.graph.queries import opset
from edgecount.export.source.load import (
    load_source,
    with_manifest,
    with_opset,
    with_static_size,
)
from edgecount.manifest import METADATA_KEY, InputSpec, Manifest, OutputSpec


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "small.onnx"
    onnx.save(small_model(), path)
    return path


@pytest.fixture
def external(tmp_path):
    path = tmp_path / "external.onnx"
    onnx.save(small_model(manifest=False), path)
    return path


def test_a_file_with_a_manifest(path):
    source = load_source(str(path))
    assert source.manifest == small_manifest()
    assert source.checkpoint is None
    assert all(node.name for node in source.model.graph.node)
    entries = {entry.key: entry.value for entry in source.model.metadata_props}
    assert Manifest.from_json(entries[METADATA_KEY]) == source.manifest
    stated = {"name": "other", "version": "2.0.0", "licence": "mine"}
    other = load_source(str(path), stated=stated).manifest
    assert (other.name, other.version, other.licence) == ("other", "2.0.0", "mine")


def test_the_bundled_model():
    source = load_source("edgecount-s")
    assert source.manifest.name == "edgecount-s"
    assert opset(source.model) == 17


def external_manifest(*outputs):
    spec = InputSpec(mean=(1, 2, 3), channels="BGR")
    return Manifest("theirs", "1.0.0", "", spec, outputs or small_manifest().outputs)


def test_an_external_network_gets_its_manifest(external, tmp_path):
    source = load_source(str(external), manifest=external_manifest())
    assert source.manifest == external_manifest()
    made = tmp_path / "made.onnx"
    onnx.save(source.model, made)
    with EdgeCounter(made, backend="onnxruntime", threads=1) as counter:
        assert counter.count(np.zeros((50, 70, 3), np.uint8)).density.shape == (7, 9)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, r"no edgecount manifest: give one .* outputs \(density, heat\) .*template"),
        (
            external_manifest(OutputSpec("people", "density", 8)),
            r"expected some of density, heat, got 'people'",
        ),
    ],
)
def test_an_external_network_that_is_not_described(external, manifest, message):
    with pytest.raises(ConfigError, match=message):
        load_source(str(external), manifest=manifest)


def test_a_manifest_that_nothing_needs(path, tmp_path):
    with pytest.raises(ConfigError, match=r"manifest: .*small\.onnx carries one: leave it out"):
        load_source(str(path), manifest=external_manifest())
    with pytest.raises(ConfigError, match="manifest: expected with an ONNX file; a checkpoint"):
        load_source(str(tmp_path / "last.pt"), manifest=external_manifest())


def test_files_that_are_no_model(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(small_model().SerializeToString()[:500])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        load_source(str(tmp_path / "cut.onnx"))
    with pytest.raises(ModelError, match="no such model"):
        load_source(str(tmp_path / "none.onnx"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(tmp_path, value):
    model, path = small_model(), tmp_path / "damaged.onnx"
    weights = next(one for one in model.graph.initializer if one.name == "people_w")
    numbers = numpy_helper.to_array(weights).copy()
    numbers[0, 0] = value
    weights.CopyFrom(numpy_helper.from_array(numbers, "people_w"))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"damaged\.onnx: the output density has a NaN"):
        load_source(str(path))


def test_half_precision_is_no_start(tmp_path):
    half = helper.make_tensor_value_info("image", TensorProto.FLOAT16, [1, 3, 8, 8])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["density"], "relu")],
        "half",
        [half],
        [helper.make_tensor_value_info("density", TensorProto.FLOAT16, [1, 3, 8, 8])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spec = small_manifest()
    one = Manifest("half", "1", "", spec.input, spec.outputs[:1])
    onnx.save(with_manifest(made, one), tmp_path / "half.onnx")
    with pytest.raises(ModelError, match="expected float32 inputs and outputs, image"):
        load_source(str(tmp_path / "half.onnx"))


def test_one_size(path, tmp_path):
    source = with_static_size(load_source(str(path)), (96, 128))
    assert source.manifest.input.static_size == (96, 128)
    shape = source.model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in shape] == [0, 3, 96, 128]
    onnx.checker.check_model(source.model, full_check=True)
    made = tmp_path / "made.onnx"
    onnx.save(source.model, made)
    with EdgeCounter(made, backend="onnxruntime", threads=1) as counter:
        result = counter.count(np.zeros((200, 100, 3), np.uint8))
    assert result.density.shape == (12, 6)


def test_a_size_that_does_not_fit(path):
    source = load_source(str(path))
    with pytest.raises(ConfigError, match="multiples of 32, got 100x640; the nearest is 96x640"):
        with_static_size(source, (100, 640))


def test_another_opset(path):
    assert opset(load_source(str(path), version=19).model) == 19
    model = load_source(str(path)).model
    assert with_opset(model, 17) is model
    assert [e.key for e in with_opset(model, 20).metadata_props] == [METADATA_KEY]


def test_a_manifest_replaces_the_other():
    model = small_model()
    model.metadata_props.add(key="author", value="somebody")
    made = with_manifest(with_manifest(model, small_manifest()), small_manifest())
    entries = [(entry.key, entry.value) for entry in made.metadata_props]
    assert [key for key, _ in entries] == ["author", METADATA_KEY]
    assert json.loads(entries[1][1])["name"] == "small"


def test_outputs_that_the_manifest_does_not_name_fall_away(tmp_path):
    spec = small_manifest()
    one = Manifest("one", "1", "", spec.input, spec.outputs[:1])
    onnx.save(with_manifest(small_model(), one), tmp_path / "one.onnx")
    model = load_source(str(tmp_path / "one.onnx")).model
    assert [value.name for value in model.graph.output] == ["density"]
    assert "heads" not in [node.name for node in model.graph.node]
    with_static_size(load_source(str(tmp_path / "one.onnx")), (64, 64))


def test_a_graph_of_one_size_is_not_resized(path):
    fixed = with_static_size(load_source(str(path)), (64, 96))
    assert with_static_size(fixed, (64, 96)).manifest == fixed.manifest
    with pytest.raises(ConfigError, match="size: the model takes 64x96 only, got 96x128"):
        with_static_size(fixed, (96, 128))


def test_a_graph_that_says_one_side_is_not_resized(tmp_path):
    model = small_model()
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 96
    onnx.save(model, tmp_path / "wide.onnx")
    source = load_source(str(tmp_path / "wide.onnx"))
    with pytest.raises(ConfigError, match="size: the model takes anyx96 only, got 96x128"):
        with_static_size(source, (96, 128))
