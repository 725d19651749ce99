"""The choice of the engine, and ONNX Runtime as one."""

from __future__ import annotations

import dataclasses
import logging
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecount.errors import BackendError, ConfigError, MissingExtraError, ModelError
from edgecount.manifest import InputSpec, Manifest
from edgecount.runtime.backends.fake import FakeBackend
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.cuda import driver
from edgecount.runtime.cuda.driver import Device, Driver
from edgecount.runtime.models.model_file import ModelFile
from edgecount.runtime.models.open import open_model


@pytest.fixture
def model(tiny_model: Path) -> ModelFile:
    return open_model(tiny_model)


def image(height: int = 64, width: int = 96) -> dict[str, np.ndarray]:
    return {"image": np.ones((1, 3, height, width), np.float32)}


def test_auto_logs_what_it_chose_and_why(
    model: ModelFile, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), open_backend(model).backend as backend:
        assert backend.name in ("onnxruntime", "onnxruntime-cuda")
    assert f"backend {backend.name} on" in caplog.text
    if backend.name == "onnxruntime":
        assert "not onnxruntime-cuda: " in caplog.text


def test_onnxruntime_gives_the_maps_by_name(model: ModelFile) -> None:
    with open_backend(model, "onnxruntime", threads=1).backend as backend:
        assert (backend.name, backend.device) == ("onnxruntime", "cpu")
        maps = backend.infer(image())
    assert {name: value.shape for name, value in maps.items()} == {
        "density": (1, 1, 8, 12),
        "heat": (1, 1, 16, 24),
        "shift": (1, 2, 16, 24),
    }
    assert maps["density"].min() == maps["density"].max() == 1


def test_a_closed_backend_says_so(model: ModelFile) -> None:
    backend = open_backend(model, "onnxruntime").backend
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(image())


def test_a_failed_run_gives_the_shapes(model: ModelFile) -> None:
    with (
        open_backend(model, "onnxruntime").backend as backend,
        pytest.raises(BackendError, match=r"onnxruntime failed on inputs .*\(1, 2, 64, 96\)"),
    ):
        backend.infer({"image": np.ones((1, 2, 64, 96), np.float32).astype(np.float64)})


@pytest.mark.parametrize(
    ("machine", "advice"),
    [("x86_64", r'pip install "edgecount\[gpu\]"'), ("aarch64", "--target tensorrt  on the board")],
)
def test_a_backend_asked_for_by_name_is_never_replaced(
    model: ModelFile, machine: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the provider")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(driver, "ask_driver", lambda: "no NVIDIA driver")
    with pytest.raises(BackendError, match=r"onnxruntime-cuda needs .* GPU: no NVIDIA driver; "):
        open_backend(model, "onnxruntime-cuda")
    gpu = Driver("13.0", [Device("RTX 4090", "8.9", 2**34, 128)])
    monkeypatch.setattr(driver, "ask_driver", lambda: gpu)
    with pytest.raises(BackendError, match=rf"no CUDAExecutionProvider .*: .*{advice}"):
        open_backend(model, "onnxruntime-cuda")


@pytest.mark.parametrize(
    ("name", "hint"), [("coreml", ""), ("onnxruntme", "did you mean 'onnxruntime'")]
)
def test_unknown_backend_lists_those_there_are(model: ModelFile, name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"expected one of auto, tensorrt, .*{hint}") as found:
        open_backend(model, name)
    assert "fake" not in str(found.value)


def test_threads_are_checked(model: ModelFile) -> None:
    with pytest.raises(ConfigError, match="threads: expected a number from 1 to 1024"):
        open_backend(model, threads=0)


def test_a_backend_of_the_callers_is_prepared_and_returned(model: ModelFile) -> None:
    fake = FakeBackend()
    assert open_backend(model, fake).backend is fake
    assert set(fake.infer(image())) == {"density", "heat", "shift"}


@pytest.mark.parametrize(
    ("backend", "extra"), [("auto", "cpu"), ("onnxruntime", "cpu"), ("onnxruntime-cuda", "gpu")]
)
def test_without_onnxruntime_the_pip_command_is_given(
    model: ModelFile, backend: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)  # which would run it in its place
    with pytest.raises(MissingExtraError, match=rf'pip install "edgecount\[{extra}\]"'):
        open_backend(model, backend)


def test_an_onnxruntime_that_does_not_load_is_told_from_a_missing_one(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libfoo.so.1: not found')")
    for name in [name for name in sys.modules if name.split(".")[0] == "onnxruntime"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match=r"cannot be loaded: libfoo.so.1"):
        open_backend(model, "onnxruntime")


def test_a_graph_that_does_not_load(model: ModelFile, tmp_path: Path) -> None:
    damaged = onnx.load(model.path)
    damaged.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(damaged, tmp_path / "damaged.onnx")
    with pytest.raises(ModelError, match=r"onnxruntime cannot load .*damaged.onnx"):
        open_backend(dataclasses.replace(model, path=tmp_path / "damaged.onnx"), "onnxruntime")


def test_tensors_must_be_those_of_the_manifest(
    model: ModelFile, make_manifest: Callable[..., Manifest]
) -> None:
    other_input = dataclasses.replace(model.manifest, input=InputSpec(name="frame"))
    with pytest.raises(ModelError, match=r"input 'frame', the graph has \['image'\]"):
        open_backend(ModelFile(model.path, other_input), "onnxruntime")
    first, *rest = model.manifest.outputs
    outputs = (dataclasses.replace(first, name="people"), *rest)
    with pytest.raises(ModelError, match="output 'people', the graph has"):
        open_backend(
            ModelFile(model.path, dataclasses.replace(model.manifest, outputs=outputs)),
            "onnxruntime",
        )


def test_counting_leaves_denormal_numbers_to_the_caller(model: ModelFile) -> None:
    tiny = np.full(4, 1e-40, np.float32)
    with open_backend(model, "onnxruntime").backend as backend:
        backend.infer(image())
    assert (tiny * np.float32(1)).min() > 0


def test_nothing_leaks_on_stdout_or_stderr(tiny_model: Path) -> None:
    code = (
        "import numpy, sys\n"
        "from edgecount import EdgeCounter\n"
        f"counter = EdgeCounter({str(tiny_model)!r})\n"
        "counter.count(numpy.zeros((48, 64, 3), numpy.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
