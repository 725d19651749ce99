"""Which engine is taken where there is no GPU, and what is said of the others."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_package
import pytest
from sidecars import GPU, write_engine

from edgecount import EdgeCounter, Manifest
from edgecount.errors import BackendError
from edgecount.manifest import METADATA_KEY
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.cuda import driver
from edgecount.runtime.models.engines import Engine, engines_for, find_onnx
from edgecount.runtime.models.machine import this_cpu
from edgecount.runtime.models.open import open_model

Make = Callable[..., Engine]


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: "no NVIDIA driver")


@pytest.fixture
def onnx(tmp_path: Path, tiny_model: Path) -> Path:
    return Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))


@pytest.fixture
def make(onnx: Path) -> Make:
    """Return what writes an engine beside the ONNX."""

    def write(name: str = "model.fp16.engine", **changes: Any) -> Engine:
        return write_engine(onnx.with_name(name), name.encode(), onnx, **changes)

    return write


def test_auto_takes_the_onnx_and_tells_why(
    make: Make, onnx: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = make()
    with caplog.at_level(logging.INFO), open_backend(open_model(onnx.parent)).backend as backend:
        assert backend.name == "onnxruntime"
    (line,) = (text for text in caplog.messages if text.startswith("backend onnxruntime on"))
    assert f"not tensorrt-rtx: {engine.path} needs a GPU: no NVIDIA driver" in line
    assert "not tensorrt: there is no engine of it" in line
    assert "not onnxruntime-cuda: " in line


def test_a_fork_that_counts_on_the_cpu_is_warned(
    make: Make, onnx: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make()
    open_backend(open_model(onnx.parent)).backend.close()
    assert not caplog.messages
    monkeypatch.setattr(driver, "ask_driver", lambda: driver.FORKED)
    open_backend(open_model(onnx.parent)).backend.close()
    (line,) = caplog.messages
    assert line.startswith("backend onnxruntime on the CPU; not tensorrt")
    assert 'start processes by "spawn"' in line


def test_a_reason_that_several_engines_share_is_told_once(
    make: Make, onnx: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make()
    damaged = make("model.int8.engine", precision="int8")
    damaged.path.with_name("model.int8.engine.json").write_text("{")
    with caplog.at_level(logging.INFO), open_backend(open_model(onnx.parent)).backend as backend:
        assert backend.name == "onnxruntime"
    assert caplog.text.count("model.int8.engine.json: not JSON") == 2  # once for each library


@pytest.mark.parametrize("rebuild", [None, lambda *_: pytest.fail("built without a GPU")])
def test_an_engine_asked_for_is_never_replaced(make: Make, onnx: Path, rebuild: Any) -> None:
    engine = make()
    for model in (engine.path, onnx, onnx.parent):
        with pytest.raises(BackendError, match="needs a GPU: no NVIDIA driver"):
            open_backend(open_model(model), "tensorrt-rtx", rebuild=rebuild)
    with pytest.raises(BackendError, match="needs a GPU: no NVIDIA driver"):
        open_backend(open_model(engine.path), rebuild=rebuild)


def test_several_engines_asked_for_tell_each_reason(make: Make, onnx: Path) -> None:
    make()
    make("model.int8.engine", precision="int8")
    with pytest.raises(BackendError, match=r"no engine of tensorrt-rtx runs here: .*fp16.*int8"):
        open_backend(open_model(onnx.parent), "tensorrt-rtx")


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_without_a_gpu_that_is_the_reason(onnx: Path, target: str) -> None:
    with pytest.raises(BackendError, match=rf"{target} needs an NVIDIA GPU: no NVIDIA driver; "):
        open_backend(open_model(onnx), target)


@pytest.mark.parametrize("target", ["tensorrt", "tensorrt-rtx"])
def test_without_an_engine_the_command_is_given(
    onnx: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ask_driver", lambda: GPU)
    command = f"run  edgecount export {onnx} --fp16 --target {target}  on"
    with pytest.raises(BackendError) as raised:
        open_backend(open_model(onnx), target)
    assert f"{onnx} has beside it no engine of {target}" in str(raised.value)
    assert command in str(raised.value)
    with pytest.raises(BackendError, match=f"holds no engine of {target}: run  edgecount export"):
        open_backend(open_model(onnx.parent), target)
    with pytest.raises(BackendError, match=f"edgecount export edgecount-s --fp16 .*{target}"):
        open_backend(open_model("edgecount-s"), target)


def test_an_engine_of_another_file_is_reached_by_the_folder(make: Make, onnx: Path) -> None:
    """`model.fp16.engine` was built from `model.fp16.onnx`, and counts as `model.onnx` does."""
    engine = make(onnx_sha256="a" * 64)
    with pytest.raises(BackendError) as raised:
        open_backend(open_model(onnx), "tensorrt-rtx")
    assert f"pass the folder {onnx.parent}, or the engine" in str(raised.value)
    assert str(engine.path) in str(raised.value)
    assert "edgecount export" not in str(raised.value)
    with pytest.raises(BackendError, match="needs a GPU"):  # found, and no more is needed
        open_backend(open_model(onnx.parent), "tensorrt-rtx")


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
@pytest.mark.parametrize("folder", [True, False])
def test_nothing_to_build_again_is_said(
    onnx: Path, caplog: pytest.LogCaptureFixture, backend: str, folder: bool
) -> None:
    def rebuild(*_: object) -> Any:
        pytest.fail("built")

    model = open_model(onnx.parent if folder else onnx)
    with open_backend(model, backend, rebuild=rebuild).backend:
        pass
    (line,) = (text for text in caplog.messages if text.startswith("rebuild has no effect: "))
    assert "pass an engine, or the folder" in line
    caplog.clear()
    with open_backend(model, backend).backend:
        pass
    assert "rebuild" not in caplog.text


def test_an_engine_of_another_library(make: Make) -> None:
    model = open_model(make().path)
    with pytest.raises(BackendError, match="is an engine of tensorrt-rtx, and tensorrt was asked"):
        open_backend(model, "tensorrt")
    for name in ("onnxruntime", "onnxruntime-cuda"):
        with pytest.raises(BackendError, match=rf"which {name} cannot run: pass the \.onnx"):
            open_backend(model, name)


def test_a_folder_of_engines_alone_needs_a_gpu(make: Make, onnx: Path) -> None:
    make()
    onnx.unlink()
    with pytest.raises(BackendError, match=r"no engine in .* runs here: .*not tensorrt-rtx"):
        open_backend(open_model(onnx.parent))
    with pytest.raises(BackendError, match=r"the folder .* holds no .onnx: leave"):
        open_backend(open_model(onnx.parent), "onnxruntime")


def test_boards_without_onnxruntime_are_told_about_their_engine(
    make: Make, onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"needs a GPU: no NVIDIA driver.*edgecount\[cpu\]"):
        open_backend(open_model(onnx.parent))


def test_the_best_engine_comes_first(make: Make, onnx: Path) -> None:
    for name, precision, overridden in (
        ("a.engine", "fp32", False),
        ("b.plan", "int8", False),
        ("c.trt", "fp16", False),
        ("d.engine", "fp16", True),
    ):
        make(name, precision=precision, overridden=overridden)
    make("e.engine", backend="tensorrt")
    engines, reasons = engines_for(open_model(onnx.parent), "tensorrt-rtx")
    assert [engine.path.name for engine in engines] == ["c.trt", "b.plan", "a.engine", "d.engine"]
    assert reasons == []


def test_an_onnx_stands_for_the_engines_built_from_it(
    make: Make, onnx: Path, make_model: Callable[..., Path]
) -> None:
    make()
    make("other.engine", onnx_sha256="a" * 64)
    engines, reasons = engines_for(open_model(onnx), "tensorrt-rtx")
    assert [engine.path.name for engine in engines] == ["model.fp16.engine"]
    assert reasons == [f"{onnx.with_name('other.engine')} was not built from model.onnx"]
    assert find_onnx(engines[0].path, engines[0].sidecar) == onnx


def test_an_engine_of_an_earlier_model_is_left(make: Make, onnx: Path, make_model: Any) -> None:
    make()
    shutil.copy(make_model(max_side=256), onnx)
    engines, (reason,) = engines_for(open_model(onnx.parent), "tensorrt-rtx")
    assert engines == []
    assert "has another manifest than model.onnx: export both again" in reason


@pytest.fixture
def timed(onnx: Path) -> Path:
    """Return a folder with an INT8 file that was twice as fast on this CPU as float32."""
    manifest = open_model(onnx).manifest
    made = {"from": {"name": manifest.name, "version": manifest.version}}
    own = dataclasses.replace(manifest, name="tiny-int8", training={"converted": made})
    _write(onnx.with_name("model.int8-cpu.onnx"), onnx, own)
    cpu = this_cpu()._asdict()
    files = [
        {"file": name, "latency_ms": {"p50": milliseconds}, "latency_cpu": cpu}
        for name, milliseconds in (("model.onnx", 2.0), ("model.int8-cpu.onnx", 1.0))
    ]
    onnx.with_name("report.json").write_text(json.dumps({"files": files}))
    return onnx.parent


def _write(path: Path, source: Path, manifest: Manifest) -> None:
    model = onnx_package.load(source)
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = manifest.to_json()
    onnx_package.save(model, path)


def test_the_best_file_of_a_folder_runs_as_what_it_is(
    timed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # which the export has not timed
    frame = np.zeros((64, 64, 3), np.uint8)
    for backend in ("auto", "onnxruntime"):
        with (
            caplog.at_level(logging.INFO),
            EdgeCounter(timed, backend=backend, threads=1) as counter,
        ):
            assert counter.manifest.name == counter.count(frame).model == "tiny-int8"
        assert "file model.int8-cpu.onnx: int8 with onnxruntime took 1.0 ms" in caplog.text
        caplog.clear()
    (timed / "model.onnx").unlink()
    with EdgeCounter(timed, threads=1) as counter:
        assert counter.manifest.name == "tiny-int8"


def test_a_file_of_another_model_is_not_taken(
    timed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = timed / "model.int8-cpu.onnx"
    other = dataclasses.replace(open_model(path).manifest, name="other", training={})
    _write(path, path, other)
    with EdgeCounter(timed, threads=1) as counter:
        assert counter.manifest.name == "tiny"
    assert "is not used: it is of another model" in caplog.text
