"""Models whose weights lie beside the .onnx."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from graphs import pixels, small_manifest, small_model, write_photos
from onnx import TensorProto, helper, numpy_helper

from edgecount import EdgeCounter
from edgecount.cli import cli
from edgecount.errors import ModelError
from edgecount.export.graph.session import open_session
from edgecount.export.source.external_data import MAX_BYTES, check_size, load_whole
from edgecount.export.source.load import load_source


def save_apart(model, path, **options):
    given = {"all_tensors_to_one_file": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save_model(model, path, save_as_external_data=True, **{**given, **options})
    return path


@pytest.fixture
def path(tmp_path):
    (tmp_path / "given").mkdir()
    return save_apart(small_model(), tmp_path / "given" / "small.onnx")


@pytest.fixture
def whole(tmp_path):
    onnx.save(small_model(), tmp_path / "whole.onnx")
    return tmp_path / "whole.onnx"


@pytest.fixture
def huge(tmp_path):
    """A network with 2.4 GB of zeros, all of them in a hole of a file."""
    model = small_model()
    rows = 600_000
    weights = TensorProto(name="huge", data_type=TensorProto.FLOAT, dims=[rows, 1000])
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "huge.bin"
    model.graph.initializer.append(weights)
    model.graph.node.append(helper.make_node("ReduceMax", ["huge"], ["most"], "most", keepdims=0))
    next(n for n in model.graph.node if n.output[0] == "density").output[0] = "people_cut"
    model.graph.node.append(helper.make_node("Add", ["people_cut", "most"], ["density"], "plus"))
    onnx.save(model, tmp_path / "huge.onnx")
    with (tmp_path / "huge.bin").open("wb") as file:
        file.truncate(4000 * rows)
    return tmp_path / "huge.onnx"


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize("options", [{}, {"all_tensors_to_one_file": False, "location": None}])
def test_the_export_stands_alone(whole, tmp_path, options):
    (tmp_path / "photos").mkdir()
    (tmp_path / "given").mkdir()
    path = save_apart(small_model(), tmp_path / "given" / "small.onnx", **options)
    made = tmp_path / "made"
    words = ("--verify", write_photos(tmp_path / "photos", 2), "--fp16", "--threads", 1, "--json")
    result = invoke("export", path, "--out", made, *words)
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)["files"]
    assert [file["file"] for file in files] == ["model.onnx", "model.fp16.onnx"]
    for file in ("model.onnx", "model.fp16.onnx"):
        model = onnx.load(made / file, load_external_data=False)
        assert not any(t.data_location for t in model.graph.initializer)
    feed = {"image": pixels()}
    names = ["density", "heat"]
    expected = open_session(whole.read_bytes()).run(names, feed)
    for ours, theirs in zip(
        open_session((made / "model.onnx").read_bytes()).run(names, feed), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_one_file_stands_alone(path, tmp_path):
    result = invoke("export", path, "--out", tmp_path / "one" / "model.onnx")
    assert result.exit_code == 0, result.output
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(tmp_path / "one" / "model.onnx"), full_check=True)


def test_it_is_counted_inspected_and_timed_as_it_is(path, whole):
    frame = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    with EdgeCounter(path, threads=1) as ours, EdgeCounter(whole, threads=1) as theirs:
        assert ours.count(frame).count == theirs.count(frame).count
    assert "runs here   yes" in invoke("inspect", path).output
    result = invoke("bench", path, "--size", "64x64", "--threads", 1)
    assert result.exit_code == 0, result.output


def test_an_external_network_gets_its_manifest(tmp_path):
    path = save_apart(small_model(manifest=False), tmp_path / "external.onnx")
    assert load_source(str(path), manifest=small_manifest()).manifest == small_manifest()


def test_constants_of_branches_lie_outside_too(tmp_path):
    def branch(name, value):
        tensor = numpy_helper.from_array(np.full(64, value, np.float32), f"{name}_value")
        node = helper.make_node("Constant", [], [f"{name}_out"], value=tensor)
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [64])
        return helper.make_graph([node], name, [], [out])

    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [64])
    branches = {"then_branch": branch("yes", 1.0), "else_branch": branch("no", 2.0)}
    node = helper.make_node("If", ["flag"], ["result"], "choice", **branches)
    graph = helper.make_graph([node], "choice", [flag], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = save_apart(model, tmp_path / "choice.onnx", convert_attribute=True)
    session = open_session(load_whole(path))
    assert session.run(None, {"flag": np.array(False)})[0].tolist() == [2.0] * 64
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"keeps its weights in 'weights\.bin'"):
        load_whole(path)


def test_weights_that_are_not_there(path, tmp_path):
    (path.parent / "weights.bin").unlink()
    result = invoke("export", path, "--out", tmp_path / "made")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"edgecount: error: {path} keeps its weights in 'weights.bin', and "
        f"{path.parent / 'weights.bin'} is not there: put it there, under that name"
    )
    assert not (tmp_path / "made").exists()
    result = invoke("bench", path)
    assert result.exit_code == 1
    assert "weights.bin" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "runs here   no" in invoke("inspect", path).output


def test_weights_that_are_cut_off(path, tmp_path):
    weights = path.parent / "weights.bin"
    size = weights.stat().st_size
    with weights.open("r+b") as file:
        file.truncate(size // 2)
    result = invoke("export", path, "--out", tmp_path / "made")
    assert result.exit_code == 1
    assert f"is cut off: expected {size} bytes, got {size // 2}: copy it again" in result.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("out", ["made", "made.onnx"])
def test_more_than_a_file_holds(huge, tmp_path, out):
    result = invoke("export", huge, "--out", tmp_path / out)
    assert result.exit_code == 1
    assert f"{huge} takes 2.40 GB, expected at most 2.13 GB" in result.stderr.splitlines()[-1]
    assert result.stderr.count("error") == 1
    assert not (tmp_path / out).exists()


def test_a_network_of_more_than_a_file_holds(tmp_path):
    torch = pytest.importorskip("torch")
    from edgecount.export.source.from_torch import export_onnx

    class Huge(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(600_000, 1000, device="meta"))

    check_size("a network", MAX_BYTES)
    with pytest.raises(ModelError, match=r"^small takes 2\.40 GB, expected at most 2\.13 GB"):
        export_onnx(Huge(), small_manifest(), tmp_path / "made.onnx")
    assert not list(tmp_path.iterdir())
