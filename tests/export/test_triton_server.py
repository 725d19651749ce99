"""The model repository behind a real Triton Inference Server.

It is found on the PATH, or in NVIDIA's package. That wants an older NumPy than edgecount's tools,
so give it a folder of its own: ``pip install --no-deps --target DIR nvidia-pytriton``, and then
``PYTHONPATH=DIR``.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from graphs import small_manifest, small_model, write_photos
from triton_server import SECONDS, Installed, Running, find_server, gather_backends, serving

from edgecount import EdgeCounter
from edgecount._files import write_whole
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.triton import config_text, engine_shapes, write_repository
from edgecount.runtime.models.sidecar import InputShapes
from edgecount.scenes import render_scene

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed() -> Installed:
    server = find_server()
    if server is None:
        pytest.skip("no tritonserver on the PATH, and nvidia-pytriton is not installed")
    pytest.importorskip("tritonclient.grpc")
    return server


@pytest.fixture(scope="module")
def backends(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = gather_backends(installed, tmp_path_factory.mktemp("backends"))
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def photos(place: Path) -> Path:
    (place / "photos").mkdir()
    return write_photos(place / "photos", 16)


@pytest.fixture(scope="module")
def repository(place: Path, photos: Path) -> Path:
    """Models of any size, of batches of four, of one size, of bytes, and of one frame a call."""
    one = small_model()
    for tensor in (*one.graph.input, *one.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(small_model(), place / "small.onnx")
    onnx.save(one, place / "one.onnx")
    bytes_of = {"int8": True, "calibration": photos, "int8_gate": 0.2}
    for name, model, options in (
        ("edgecount-n", "edgecount-n", {}),
        ("of-four", "edgecount-n", {"batch": 4}),
        ("one.size", "edgecount-n", {"size": (480, 640)}),
        ("bytes", str(place / "small.onnx"), bytes_of),
        ("one-by-one", str(place / "one.onnx"), {}),
    ):
        made = export_model(
            model,
            place / f"{name}-export",
            ExportOptions(threads=1, **{"verify": photos, **options}),
            stated={"name": name, "licence": 'Größe "\\" 5'},
        )
        write_repository(made, place / f"{name}-export", place / "models")
    return place / "models"


@pytest.fixture(scope="module")
def server(installed: Installed, backends: Path, repository: Path, place: Path):
    with serving(installed, backends, repository, place / "log") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running):
    import tritonclient.grpc

    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        yield client


def example() -> str:
    """The client that docs/export.md shows."""
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if "class Served" in block)
    return found


def served_backend(server: Running, model: str):
    """The documented client's backend."""
    names: dict = {}
    exec(example().split("\nwith ")[0], names)  # noqa: S102
    return names["Served"](server.grpc, model)


def scene(seed: int, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    return render_scene(30, size=size, seed=seed).image


def test_only_the_backend_is_missing(installed, repository, tmp_path) -> None:
    manifest = small_manifest()
    shapes = InputShapes((1, 3, 64, 64), (1, 3, 480, 640), (4, 3, 1088, 1920))
    text = config_text(manifest, "plan", "tensorrt", engine_shapes(manifest, shapes), 4)
    write_whole(tmp_path / "more" / "plan" / "config.pbtxt", text.encode())
    write_whole(tmp_path / "more" / "plan" / "1" / "model.plan", b"of another GPU")
    (tmp_path / "none").mkdir()
    more = ["--model-repository", str(tmp_path / "more")]
    with (
        pytest.raises(RuntimeError) as caught,
        serving(installed, tmp_path / "none", repository, tmp_path / "log", *more),
    ):
        pass
    log = str(caught.value)
    reasons = dict(re.findall(r"failed to load '(\S+)' version 1: (.*?), try", log))
    backends = {path.name: "onnxruntime" for path in repository.iterdir()} | {"plan": "tensorrt"}
    assert reasons == {
        name: f"Invalid argument: unable to find backend library for backend '{backend}'"
        for name, backend in backends.items()
    }
    assert "Poll failed" not in log


def test_the_server_is_told_all(installed, backends, repository, tmp_path) -> None:
    strict = "--disable-auto-complete-config"
    with serving(installed, backends, repository, tmp_path / "log", strict) as running:
        assert "successfully loaded 'one_size'" in running.log.read_text()


@pytest.mark.parametrize("model", ["edgecount-n", "of-four", "one_size", "bytes", "one-by-one"])
def test_counts_are_those_of_the_file(server, place, model) -> None:
    folder = place / f"{model.replace('_', '.')}-export"
    file = folder / ("model.int8-cpu.onnx" if model == "bytes" else "model.onnx")
    pictures = [scene(1), scene(2, (333, 250))]
    with (
        served_backend(server, model) as backend,
        EdgeCounter(backend.manifest, backend=backend) as theirs,
        EdgeCounter(file, backend="onnxruntime", threads=1) as ours,
    ):
        assert theirs.manifest == ours.manifest
        for picture in pictures:
            expected, got = ours.count(picture), theirs.count(picture)
            assert got.count == pytest.approx(expected.count, rel=1e-5)
            assert got.backend == "triton"
            np.testing.assert_allclose(got.points, expected.points, atol=1e-3)
            np.testing.assert_allclose(got.density, expected.density, atol=1e-5)
        if model.startswith("edgecount"):
            assert expected.count > 10


def test_the_documented_client(server, tmp_path) -> None:
    assert cv2.imwrite(str(tmp_path / "street.png"), scene(3))
    code = example().replace("localhost:8001", server.grpc).replace("edgecount-s", "edgecount-n")
    code = code.replace("street.jpg", "street.png")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = EdgeCounter("edgecount-n", backend="onnxruntime").count(scene(3)).count
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("model", "most"), [("edgecount-n", 8), ("of-four", 4)])
def test_requests_that_wait_run_together(client, model, most) -> None:
    import tritonclient.grpc as triton

    image = np.random.default_rng(0).normal(size=(1, 3, 256, 320)).astype(np.float32)
    tensor = triton.InferInput("image", image.shape, "FP32")
    tensor.set_data_from_numpy(image)
    answers: queue.Queue = queue.Queue()
    number = 40
    for _ in range(number):
        client.async_infer(model, [tensor], lambda result, error: answers.put((result, error)))
    maps = [answers.get(timeout=SECONDS) for _ in range(number)]
    assert [error for _, error in maps] == [None] * number
    first = maps[0][0].as_numpy("density")
    for result, _ in maps:
        np.testing.assert_allclose(result.as_numpy("density"), first, atol=1e-5)
    (told,) = client.get_inference_statistics(model).model_stats
    sizes = {batch.batch_size for batch in told.batch_stats}
    assert max(sizes) <= most
    assert len(sizes) > 1


def test_one_counter_of_many_threads(server) -> None:
    pictures = [scene(seed, (320, 256)) for seed in range(4)]
    with (
        served_backend(server, "edgecount-n") as backend,
        EdgeCounter(backend.manifest, backend=backend) as counter,
        ThreadPoolExecutor(4) as threads,
    ):
        alone = [counter.count(picture).count for picture in pictures]
        together = [result.count for result in threads.map(counter.count, pictures * 4)]
    np.testing.assert_allclose(together, alone * 4, rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        ("of-four", (4, 3, 64, 96), (4, 1, 8, 12)),
        ("of-four", (5, 3, 64, 96), "batch-size must be <= 4"),
        ("one_size", (2, 3, 480, 640), (2, 1, 60, 80)),
        ("one_size", (1, 3, 64, 96), r"\[-1,3,480,640\]"),
        ("one-by-one", (1, 3, 64, 96), (1, 1, 8, 12)),
        ("one-by-one", (2, 3, 64, 96), r"\[1,3,-1,-1\]"),
    ],
)
def test_shapes_that_a_model_takes(client, model, shape, expected) -> None:
    import tritonclient.grpc as triton

    tensor = triton.InferInput("image", shape, "FP32")
    tensor.set_data_from_numpy(np.zeros(shape, np.float32))
    if isinstance(expected, tuple):
        assert client.infer(model, [tensor]).as_numpy("density").shape == expected
    else:
        with pytest.raises(triton.InferenceServerException, match=expected):
            client.infer(model, [tensor])


def test_over_http(server, place) -> None:
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    tensor = {"name": "image", "shape": image.shape, "datatype": "FP32", "data": image.tolist()}
    request = urllib.request.Request(  # noqa: S310
        f"{server.http}/v2/models/bytes/infer", json.dumps({"inputs": [tensor]}).encode()
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        outputs = {output["name"]: output for output in json.load(answer)["outputs"]}
    assert outputs["density"]["shape"] == [1, 1, 8, 12]
    assert outputs["heat"]["shape"] == [1, 1, 16, 24]
    with urllib.request.urlopen(f"{server.http}/v2/models/bytes/config") as answer:  # noqa: S310
        config = json.load(answer)
    assert config["platform"] == "onnxruntime_onnx"
    assert [group["kind"] for group in config["instance_group"]] == ["KIND_CPU"]
    told = json.loads(config["parameters"]["edgecount_manifest"]["string_value"])
    assert told == json.loads((place / "models" / "bytes" / "manifest.json").read_text())
