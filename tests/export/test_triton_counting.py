"""The models of `deploy/triton`, which count frames on the server.

They run with a stand-in for the Python module that only the server has, and behind a real Triton
Inference Server where there is one (see test_triton_server.py).
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from graphs import small_manifest, small_model, write_photos
from triton_server import find_server, gather_backends, serving

from edgecount import EdgeCounter
from edgecount.errors import OutputError
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.triton import config_text, write_repository
from edgecount.manifest import IntervalSpec
from edgecount.scenes import render_scene

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "triton"

if not FOLDER.is_dir():
    pytest.skip("the repository is not at hand", allow_module_level=True)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deployed_{name}", FOLDER / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tensor:
    """What the server's module hands to a model: a name, and an array by DLPack."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array = name, array

    @classmethod
    def from_dlpack(cls, name: str, array: Any) -> Tensor:
        return cls(name, np.from_dlpack(array))

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Request:
    def __init__(self, tensors: dict[str, np.ndarray], wanted: list[str]) -> None:
        self.tensors, self.wanted = tensors, wanted

    def requested_output_names(self) -> list[str]:
        return self.wanted


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load model.py with a stand-in for the module that only the server has."""
    names = SimpleNamespace(
        Tensor=Tensor,
        TritonError=lambda message: message,
        InferenceResponse=lambda tensors=(), error=None: (tensors, error),
        get_input_tensor_by_name=lambda request, name: Tensor(name, request.tensors[name]),
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", names)
    return load("model")


@pytest.fixture
def add_counting() -> Any:
    return load("add_counting").add_counting


def parse(path: Path) -> Any:
    """Read config.pbtxt by Triton's own schema."""
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    return text_format.Parse(path.read_text(), schema.ModelConfig())


def network(root: Path, *, size: tuple[int, int] = (-1, -1), batch: int = 8) -> Path:
    """Write the folder of a network as the export does."""
    manifest, (height, width) = small_manifest(), size
    small = [side // 8 if side > 0 else -1 for side in size]
    large = [side // 4 if side > 0 else -1 for side in size]
    first = -1 if batch else 1
    shapes = {
        "image": [first, 3, height, width],
        "density": [first, 1, *small],
        "heat": [first, 1, *large],
    }
    folder = root / "small"
    (folder / "1").mkdir(parents=True)
    text = config_text(manifest, "small", "onnxruntime", shapes, batch)
    (folder / "config.pbtxt").write_text(text)
    (folder / "manifest.json").write_text(manifest.to_json())
    return folder


def unaligned(values: np.ndarray) -> np.ndarray:
    """Copy an array to an odd address, as the server's shared memory has them."""
    room = np.zeros(values.nbytes + 1, np.uint8)[1:]
    room[:] = np.frombuffer(values.tobytes(), np.uint8)
    return room.view(values.dtype).reshape(values.shape)


def run(served: ModuleType, folder: Path, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Let a step answer a request for all that its config.pbtxt states."""
    config = parse(folder / "config.pbtxt")
    values = {name: {"string_value": v.string_value} for name, v in config.parameters.items()}
    model = served.TritonPythonModel()
    model.initialize({"model_config": json.dumps({"parameters": values})})
    wanted = [tensor.name for tensor in config.output]
    ((answers, error),) = model.execute([Request(tensors, wanted)])
    if error is not None:
        raise RuntimeError(error)
    return {answer.name: answer.array for answer in answers}


@pytest.mark.parametrize("shape", [(100, 150, 3), (700, 300, 3)])
def test_steps_count_as_edgecounter_does(served, add_counting, tmp_path, shape):
    made = add_counting(network(tmp_path))
    frame = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    (tmp_path / "small.onnx").write_bytes(small_model().SerializeToString())
    with EdgeCounter(tmp_path / "small.onnx", backend="onnxruntime", threads=1) as counter:
        expected = counter.count(frame)
    given = run(served, tmp_path / "small-preprocess", {"frame": frame})
    assert given["size"].tolist() == list(shape[:2])
    session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
    names = [output.name for output in session.get_outputs()]
    maps = dict(zip(names, session.run(names, {"image": given["image"]}), strict=True))
    maps = {f"map_{name}": unaligned(values) for name, values in maps.items()}
    found = run(served, tmp_path / "small-postprocess", {"size": given["size"], **maps})
    assert set(found) == {tensor.name for tensor in parse(made / "config.pbtxt").output}
    assert found["count"] == np.float32(expected.count)
    np.testing.assert_array_equal(found["points"], expected.points)
    np.testing.assert_array_equal(found["density"], expected.density)


@pytest.mark.parametrize(
    ("max_side", "static", "is_told"), [(None, None, True), (64, None, False), (None, 64, False)]
)
def test_the_interval_is_told_only_where_it_was_measured(
    served, add_counting, tmp_path, max_side, static, is_told
):
    """As `EdgeCounter` does, which has none for frames that are shrunk for another reason."""
    folder = network(tmp_path)
    post = dataclasses.replace(
        small_manifest().postprocess, interval=IntervalSpec(0.9, 1, 1, 2, 0, 0, 0)
    )
    manifest = dataclasses.replace(small_manifest(), postprocess=post)
    if static:  # of one size, half of the frame's
        spec = dataclasses.replace(manifest.input, static_size=(static, static))
        manifest = dataclasses.replace(manifest, input=spec)
    (folder / "manifest.json").write_text(manifest.to_json())
    add_counting(folder, max_side=max_side)
    given = run(served, tmp_path / "small-preprocess", {"frame": np.zeros((64, 128, 3), np.uint8)})
    height, width = given["image"].shape[2:]
    maps = {"map_density": np.ones((1, 1, height // 8, width // 8), np.float32)}
    maps["map_heat"] = np.zeros((1, 1, height // 4, width // 4), np.float32)
    found = run(served, tmp_path / "small-postprocess", {"size": given["size"], **maps})
    low, high = found["interval"]
    assert low < found["count"][0] < high if is_told else np.isnan([low, high]).all()


def test_places_of_nobody_are_in_the_order_that_the_server_takes(served):
    array = served.in_order(np.empty((0, 3), np.float32))
    assert (array.shape, array.strides) == ((0, 3), (12, 4))


def test_bad_requests_get_one_clear_line(served, add_counting, tmp_path):
    add_counting(network(tmp_path))
    before, after = tmp_path / "small-preprocess", tmp_path / "small-postprocess"
    with pytest.raises(RuntimeError, match=r"^frame: expected uint8 .* got \(4, 4, 4\)$"):
        run(served, before, {"frame": np.zeros((4, 4, 4), np.uint8)})
    maps = {"map_density": np.full((1, 1, 8, 8), np.nan, np.float32)}
    maps |= {"map_heat": np.zeros((1, 1, 16, 16), np.float32)}
    with pytest.raises(RuntimeError, match=r"output 'density' .* finite"):
        run(served, after, {"size": np.array([64, 64], np.int32), **maps})
    with pytest.raises(RuntimeError, match="expected shape"):
        run(served, after, {"size": np.array([64, 128], np.int32), **maps})


def tensors(found: Any) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.dims) for tensor in found}


def test_the_ensemble_passes_on_what_its_steps_give(add_counting, tmp_path):
    made = add_counting(network(tmp_path))
    ensemble = parse(made / "config.pbtxt")
    assert (ensemble.name, ensemble.platform) == ("small-count", "ensemble")
    assert tensors(ensemble.input) == {"frame": [-1, -1, 3]}
    known = {"frame"}
    for step in ensemble.ensemble_scheduling.step:
        config = parse(tmp_path / step.model_name / "config.pbtxt")
        assert set(step.input_map) == set(tensors(config.input))
        assert set(step.output_map) <= set(tensors(config.output))
        assert set(step.input_map.values()) <= known
        known |= set(step.output_map.values())
    assert set(tensors(ensemble.output)) <= known


@pytest.mark.parametrize("batch", [8, 0])
def test_a_network_of_one_size(served, add_counting, tmp_path, batch):
    """Frames are padded to the size that config.pbtxt states, and shrunk to it."""
    add_counting(network(tmp_path, size=(64, 96), batch=batch))
    config = parse(tmp_path / "small-preprocess" / "config.pbtxt")
    assert tensors(config.output)["image"] == [1, 3, 64, 96]
    for shape in ((20, 30, 3), (640, 480, 3)):
        given = run(served, tmp_path / "small-preprocess", {"frame": np.zeros(shape, np.uint8)})
        assert given["image"].shape == (1, 3, 64, 96)


def test_a_network_that_takes_its_image_in_float16(served, add_counting, tmp_path):
    folder = network(tmp_path)
    stated = (folder / "config.pbtxt").read_text()
    half = stated.replace('"image" data_type: TYPE_FP32', '"image" data_type: TYPE_FP16')
    assert half != stated
    (folder / "config.pbtxt").write_text(half)
    add_counting(folder)
    (image,) = [
        tensor
        for tensor in parse(tmp_path / "small-preprocess" / "config.pbtxt").output
        if tensor.name == "image"
    ]
    assert image.data_type == parse(folder / "config.pbtxt").input[0].data_type
    given = run(served, tmp_path / "small-preprocess", {"frame": np.zeros((64, 64, 3), np.uint8)})
    assert given["image"].dtype == np.float16


@pytest.mark.parametrize("text", ["256x320", "0x32:64x64", "1088x1920:256x320", "32x64:64x32"])
def test_limits_that_make_no_sense_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        load("add_counting").main(["models/edgecount-s", "--limits", text])
    assert f"such as 256x320:1088x1920, got '{text}'" in capsys.readouterr().err


def test_no_network_of_an_export(add_counting, tmp_path):
    with pytest.raises(OutputError, match="expected a model that edgecount export --triton wrote"):
        add_counting(tmp_path / "nothing")
    folder = network(tmp_path)
    (folder / "config.pbtxt").write_text('name: "small"\n')
    with pytest.raises(OutputError, match="states no tensor image"):
        add_counting(folder)


def test_the_documented_tensors_are_those_of_the_ensemble(add_counting, tmp_path):
    page = (FOLDER.parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
    table = page.partition("**Frames in, counts out.**")[2].partition("```python")[0]
    told = re.findall(r"^\| `(\w+)`(?:, in)? \| (\w+) \(([^)]*)\)", table, re.MULTILINE)
    made = parse(add_counting(network(tmp_path)) / "config.pbtxt")
    kinds = {"TYPE_UINT8": "uint8", "TYPE_FP32": "float32"}
    for tensor in (*made.input, *made.output):
        kind = made.DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name["data_type"]
        name = kind.enum_type.values_by_number[tensor.data_type].name
        (shape,) = [shape for found, *_, shape in told if found == tensor.name]
        assert (tensor.name, kinds[name]) in [(found, typed) for found, typed, _ in told]
        assert len(shape.split(",")) == len(tensor.dims)
    assert {found for found, *_ in told} >= {"frame", "count", "points", "interval", "boxes"}


def test_the_image_copies_what_a_build_reads():
    root = FOLDER.parents[1]
    copied = [
        words.split()[:-1]
        for words in re.findall(r"^COPY (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    ]
    names = {name for words in copied for name in words}
    let_in = (root / ".dockerignore").read_text().splitlines()
    packages = {"cpp_ext", "edgecount", "export", "runtime", "train"}
    assert packages | {"pyproject.toml", "CMakeLists.txt", "README.md"} <= names
    assert all((root / name).exists() for name in names)
    assert {f"!{name}" for name in names} <= set(let_in)


@pytest.mark.slow
def test_a_real_server_counts_frames(add_counting, tmp_path):
    grpc = pytest.importorskip("tritonclient.grpc")
    installed = find_server()
    if installed is None:
        pytest.skip("no tritonserver on the PATH, and nvidia-pytriton is not installed")
    (tmp_path / "backends").mkdir()
    backends = gather_backends(installed, tmp_path / "backends")
    if isinstance(backends, str):
        pytest.skip(backends)
    (tmp_path / "photos").mkdir()
    photos = write_photos(tmp_path / "photos", 4)
    made = export_model("edgecount-n", tmp_path / "export", ExportOptions(threads=1, verify=photos))
    repository = tmp_path / "models"
    write_repository(made, tmp_path / "export", repository)
    add_counting(repository / "edgecount-n")
    frames = [render_scene(30, size=size, seed=1).image for size in ((640, 480), (333, 250))]
    frames.append(np.zeros((64, 64, 3), np.uint8))
    with (
        serving(installed, backends, repository, tmp_path / "log") as running,
        grpc.InferenceServerClient(running.grpc) as client,
        EdgeCounter("edgecount-n", backend="onnxruntime", threads=1) as counter,
    ):
        for frame in frames:
            expected = counter.count(frame)
            tensor = grpc.InferInput("frame", frame.shape, "UINT8")
            tensor.set_data_from_numpy(frame)
            wanted = [grpc.InferRequestedOutput(name) for name in ("count", "points", "density")]
            answer = client.infer("edgecount-n-count", [tensor], outputs=wanted)
            assert answer.as_numpy("count")[0] == pytest.approx(expected.count, rel=1e-5)
            np.testing.assert_allclose(answer.as_numpy("points"), expected.points, atol=1e-3)
            np.testing.assert_allclose(answer.as_numpy("density"), expected.density, atol=1e-5)
        assert counter.count(frames[0]).count > 10
        wrong = grpc.InferInput("frame", (4, 0, 3), "UINT8")
        wrong.set_data_from_numpy(np.zeros((4, 0, 3), np.uint8))
        with pytest.raises(grpc.InferenceServerException, match="frame: expected uint8"):
            client.infer("edgecount-n-count", [wrong])
