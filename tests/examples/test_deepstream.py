"""The recipe for DeepStream: its configuration, and the counting of what nvinfer hands on."""

from __future__ import annotations

import configparser
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecount import EdgeCounter
from edgecount.errors import BackendError, ConfigError
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.outputs import OutputCounter

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples" / "deepstream"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deepstream_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def session(tiny_model):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(tiny_model, providers=["CPUExecutionProvider"])


@pytest.fixture
def run(session, tiny_model):
    """Return what nvinfer does: pixels normalised by its configuration, and the network's maps."""
    spec = open_model(tiny_model).manifest.input

    def infer(image: Any, height: int, width: int) -> dict[str, Any]:
        padded = np.zeros((height, width, 3), np.float32)
        padded[: image.shape[0], : image.shape[1]] = image
        if spec.channels == "RGB":
            padded = padded[:, :, ::-1]
        pixels = (padded - spec.mean) * spec.scale
        given = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {spec.name: given}), strict=True))

    return infer


def test_the_configuration_at_hand_is_what_is_written(tmp_path):
    config = load("write_config").config_of("edgecount-s", (736, 1280), 2, fp16=False)
    assert (FOLDER / "config_infer_edgecount-s.txt").read_text() == config
    command = [sys.executable, FOLDER / "write_config.py", "edgecount-s", "--batch", "2"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "config_infer_edgecount-s.txt").read_text() == config
    assert (tmp_path / "edgecount-s.onnx").stat().st_size > 10_000


def test_a_model_in_the_current_folder_stays_where_it_is(tmp_path):
    model = tmp_path / "edgecount-s.onnx"
    model.write_bytes(open_model("edgecount-s").path.read_bytes())
    before = model.read_bytes()
    for given in (model.name, model):
        command = [sys.executable, FOLDER / "write_config.py", given, "--batch", "2"]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
        config = (tmp_path / "config_infer_edgecount-s.txt").read_text()
        assert "onnx-file=edgecount-s.onnx\n" in config
    assert model.read_bytes() == before


def test_nvinfer_normalises_as_the_model_was_trained():
    parser = configparser.ConfigParser()
    parser.read(FOLDER / "config_infer_edgecount-s.txt")
    settings = parser["property"]
    spec = open_model("edgecount-s").manifest.input
    pixels = np.arange(256.0)
    offsets = [float(text) for text in settings["offsets"].split(";")]
    for channel, offset in enumerate(offsets):
        by_nvinfer = float(settings["net-scale-factor"]) * (pixels - offset)
        assert np.allclose(by_nvinfer, (pixels - spec.mean[channel]) * spec.scale[channel])
    assert settings["model-color-format"] == {"RGB": "0", "BGR": "1"}[spec.channels]
    # What its documentation asks for, to have the tensors and nothing else.
    assert (settings["network-type"], settings["output-tensor-meta"]) == ("100", "1")


def test_models_that_nvinfer_cannot_feed_are_refused():
    config_of = load("write_config").config_of
    with pytest.raises(SystemExit, match="expected multiples of 32, got"):
        config_of("edgecount-s", (720, 1280), 1, fp16=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edgecount-s", "--input", "736"], "expected HEIGHTxWIDTH, such as 736x1280, got '736'"),
        (["edgecount-s", "--input", "0x1280"], "expected HEIGHTxWIDTH"),
        (["edgecount-s", "--batch", "0"], "--batch: expected 1 or more, got 0"),
        (["edgecount-x"], "unknown model 'edgecount-x'"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["write_config.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        load("write_config").main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_streams_keep_their_size(tmp_path, monkeypatch):
    """As far as a stand-in for pyservicemaker tells: what its pipeline is asked for."""
    asked: list[Any] = []

    class Flow:
        def __init__(self, _: object) -> None:
            pass

        def batch_capture(self, streams: list[str], **options: int) -> Flow:
            asked.append((streams, options))
            return self

        def infer(self, _: str) -> Flow:
            return self

        attach = infer

        def render(self, _: object) -> Any:
            return lambda: None

    maker = SimpleNamespace(
        BatchMetadataOperator=object,
        Flow=Flow,
        Pipeline=str,
        Probe=lambda name, _: name,
        RenderMode=SimpleNamespace(DISCARD=0),
    )
    monkeypatch.setitem(sys.modules, "pyservicemaker", maker)  # type: ignore[arg-type]
    config = str(FOLDER / "config_infer_edgecount-s.txt")
    for more in (["--size", "1280x720"], []):
        monkeypatch.setattr(sys, "argv", ["count_streams.py", config, "rtsp://a", *more])
        load("count_streams").main()
    assert asked == [(["rtsp://a"], {"width": 1280, "height": 720}), (["rtsp://a"], {})]


@pytest.mark.parametrize("text", [None, "[property]\nonnx-file=a.onnx\ninfer-dims=3;64\n"])
def test_what_is_no_configuration_of_nvinfer_is_refused(text, tmp_path):
    path = tmp_path / "config.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"config.txt: expected a configuration of nvinfer"):
        load("count_streams").StreamCounter(str(path))


def test_maps_of_nvinfer_give_edgecounter_s_counts(run, tiny_model, squares, tmp_path):
    """In a pipeline that scales nothing."""
    image = squares(96, 64, (8, 8), (40, 24), (64, 40))
    expected = EdgeCounter(tiny_model, backend="onnxruntime").count(image)
    assert expected.count > 1
    (tmp_path / "config.txt").write_text(
        f"[property]\nonnx-file={tiny_model}\ninfer-dims=3;64;96\nbatch-size=1\n"
    )
    counter = load("count_streams").StreamCounter(str(tmp_path / "config.txt"))

    def frame(number: int, layers: dict[str, Any]) -> Any:
        tensors = SimpleNamespace(
            as_tensor_output=lambda: SimpleNamespace(get_layers=lambda: layers)
        )
        return SimpleNamespace(
            frame_number=number,
            pad_index=1,
            pipeline_width=96,
            pipeline_height=64,
            tensor_items=[tensors],
        )

    maps = {name: values[0] for name, values in run(image, 64, 96).items()}  # (C, h, w)
    lacking = {name: values for name, values in maps.items() if name != "density"}
    batch = SimpleNamespace(frame_items=[frame(7, maps), frame(8, lacking)])
    first, second = (json.loads(line) for line in counter.lines(batch))
    assert (first["stream"], first["frame"]) == (1, 7)
    assert second["frame"] == 8
    assert (first["count"], first["peak_count"]) == (round(expected.count, 2), expected.peak_count)
    result = OutputCounter(tiny_model, (96, 64), (64, 96)).count(maps)
    assert result.count == expected.count
    np.testing.assert_array_equal(result.points, expected.points)
    assert result.interval is None
    assert "output 'density' is missing" in second["error"]


def test_frames_lie_in_the_input_as_nvinfer_puts_them(run, tiny_model, squares):
    # 640 x 360 in an input of 96 x 128: 128 wide, and 72 high.
    image = squares(128, 72, (8, 8), (64, 40))
    maps = run(image, 96, 128)
    counter = OutputCounter(tiny_model, (640, 360), (96, 128))
    whole = EdgeCounter(tiny_model, backend="onnxruntime").count(image)
    assert whole.count > 1
    result = counter.count(maps)
    assert result.count == whole.count
    assert result.size == (640, 360)
    np.testing.assert_allclose(result.points[:, :2], whole.points[:, :2] * 5, rtol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (((0, 10), (64, 96)), "frame_size: expected two numbers of pixels"),
        ((80, (64, 96)), "frame_size: expected two numbers of pixels, 1 or more, got 80"),
        (((80, 56), (64.0, 96)), "input_size: expected two numbers of pixels"),
        (((80, 56), (60, 96)), "input_size: expected multiples of"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(tiny_model, sizes, words):
    with pytest.raises(ConfigError, match=words):
        OutputCounter(tiny_model, *sizes)


def test_maps_of_another_size_are_refused(run, tiny_model, squares):
    counter = OutputCounter(tiny_model, (80, 56), (64, 96))
    with pytest.raises(BackendError, match="expected shape"):
        counter.count(run(squares(80, 56), 96, 96))
    with pytest.raises(ConfigError, match=r"resized: expected two numbers .* got \(64,\)"):
        OutputCounter(tiny_model, (80, 56), (64, 96), resized=(64,))
    with pytest.raises(ConfigError, match="resized: expected a size within the input"):
        OutputCounter(tiny_model, (80, 56), (64, 96), resized=(65, 96))
