"""Exports with engines that can run where they are made."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import standin_tensorrt as standin
from gpu_maps import EMULATED
from graphs import small_model, write_photos
from sidecars import GPU

from edgecount import _ext
from edgecount.errors import AccuracyError
from edgecount.export import package
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.report import write_report
from edgecount.export.tensorrt import verify
from edgecount.export.tensorrt.build import build_engine
from edgecount.export.verify import gate
from edgecount.runtime.cuda import driver
from edgecount.runtime.models.sidecar import read_sidecar

pytestmark = pytest.mark.gpu

pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)

Spoil = Callable[[onnx.ModelProto], None]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return write_photos(folder, 4, (96, 64))


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "small.onnx"
    onnx.save(small_model(), path)
    return str(path)


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Callable[[Spoil | None], None]:
    """Exchange the real builder's plan for one that runs on the emulated GPU."""
    if not EMULATED:
        pytest.skip("the memory of a GPU cannot be read at its address")
    monkeypatch.setattr(verify, "RUNS", 3)
    monkeypatch.setattr(verify, "WARM_UP", 1)

    def prepare(spoil: Spoil | None = None) -> None:
        def make(source: Path, plan: Path, options: Any, **more: Any) -> Any:
            built = build_engine(source, plan, options, **more)
            graph = onnx.load(source)
            if spoil:
                spoil(graph)
            shapes = dataclasses.astuple(built.shapes)
            plan.write_bytes(standin.make_plan(graph.SerializeToString(), shapes))
            digest = package.hashlib.sha256(plan.read_bytes()).hexdigest()
            # From now on there is a GPU, which the builder must not see: it would use it.
            monkeypatch.setattr(driver, "ask_driver", lambda: GPU)
            monkeypatch.setitem(sys.modules, "tensorrt_rtx", standin)
            return dataclasses.replace(built, sha256=digest, version=standin.__version__)

        monkeypatch.setattr(package, "build_engine", make)

    return prepare


def options(photos: Path, **more: Any) -> ExportOptions:
    given = {
        "target": "tensorrt-rtx",
        "verify": photos,
        "profile": ((64, 64), (64, 96), (128, 128)),
    }
    return ExportOptions(**given | {"threads": 1} | more)  # type: ignore[arg-type]


def twice(graph: onnx.ModelProto) -> None:
    """Double the density of every person."""
    for node in graph.graph.node:
        for index, name in enumerate(node.output):
            if name == "density":
                node.output[index] = "once"
    graph.graph.node.append(onnx.helper.make_node("Add", ["once", "once"], ["density"]))


def test_an_engine_that_counts_like_the_original_passes(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    build()
    out = tmp_path / "made"
    export_model(model, out, options(photos), finish=write_report)
    file = json.loads((out / "report.json").read_text())["files"][-1]
    assert file["verdict"] == "passed"
    assert file["proof"]["relative"] == pytest.approx(0, abs=1e-6)
    assert len(file["proof"]["images"]) == 4
    assert 0 < file["latency_ms"]["p50"] <= file["latency_ms"]["p95"]
    assert file["latency_on"] == "RTX 4090"
    page = (out / "report.html").read_text()
    assert "on RTX 4090" in page
    assert page.count("<circle") == 4


def test_an_engine_that_counts_otherwise_is_refused(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    build(twice)
    with pytest.raises(AccuracyError, match=r"model\.engine counts differently .* `force`"):
        export_model(model, tmp_path / "made", options(photos))
    assert not (tmp_path / "made").exists()


def test_force_keeps_it_and_says_so(build: Any, model: str, photos: Path, tmp_path: Path) -> None:
    build(twice)
    out = tmp_path / "made"
    made = export_model(model, out, options(photos, force=True), finish=write_report)
    assert made.files[-1].overridden
    assert read_sidecar(out / "model.engine").overridden
    assert any("kept by `force`" in text for text in made.warnings)
    report = json.loads((out / "report.json").read_text())
    assert report["files"][-1]["verdict"] == "refused, kept by force"


def test_an_engine_refused_for_its_head_points_has_not_passed(
    build: Any, model: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counts are those of the original, to the last bit: the proof of those has passed."""
    monkeypatch.setattr(gate, "MATCHED", {"fp16": 1.1})  # more than there are
    monkeypatch.setattr(gate, "FEW_POINTS", 0)
    build()
    out = tmp_path / "made"
    made = export_model(model, out, options(photos, force=True), finish=write_report)
    assert made.files[-1].run is not None
    assert made.files[-1].run.comparison is not None
    assert made.files[-1].run.comparison.passed
    assert any("of the head points" in text for text in made.warnings)
    facts = json.loads((out / "report.json").read_text())["files"][-1]
    assert facts["verdict"] == "refused, kept by force"
    assert facts["refused"] is facts["overridden"] is True


def test_an_engine_of_a_refused_file_says_so(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    build()
    out = tmp_path / "made"
    given = options(photos, fp16=True, fp16_gate=0.0, force=True)
    made = export_model(model, out, given, finish=write_report)
    assert [file.refused for file in made.files[:2]] == [False, True]
    facts = json.loads((out / "report.json").read_text())["files"][-1]
    assert facts["overridden"] is True
    passed = "passed, from a refused file"
    assert facts["verdict"] == ("refused, kept by force" if facts["refused"] else passed)


def test_values_that_are_no_numbers_are_refused_even_by_force(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    def to_nan(graph: onnx.ModelProto) -> None:
        twice(graph)
        bad = onnx.numpy_helper.from_array(np.array([np.nan], np.float32), "bad")
        graph.graph.initializer.append(bad)
        graph.graph.node[-1].input[1] = "bad"

    build(to_nan)
    with pytest.raises(AccuracyError, match=r"model\.engine cannot count, and nothing was written"):
        export_model(model, tmp_path / "made", options(photos, force=True))


def test_pictures_that_do_not_fit_are_left_out_and_told(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    build()
    cv2.imwrite(str(photos / "wide.png"), np.zeros((64, 256, 3), np.uint8))
    made = export_model(model, tmp_path / "made", options(photos), finish=write_report)
    assert made.files[-1].run is not None
    assert made.files[-1].run.left_out == 1
    assert any("not compared on 1 of the images" in text for text in made.warnings)


def test_an_engine_that_takes_no_picture_is_run_and_not_compared(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    build()
    for path in photos.iterdir():
        assert cv2.imwrite(str(path), np.zeros((64, 256, 3), np.uint8))
    export_model(model, tmp_path / "none", options(photos), finish=write_report)
    file = json.loads((tmp_path / "none" / "report.json").read_text())["files"][-1]
    assert file["verdict"] == "built, run, not compared"
    assert "`profile`" in file["engine"]["reason"]
    assert file["latency_ms"]["p50"] > 0


def test_bench_and_inspect_run_an_engine(
    build: Any, model: str, photos: Path, tmp_path: Path
) -> None:
    from click.testing import CliRunner

    from edgecount.cli import cli

    build()
    out = tmp_path / "made"
    export_model(model, out, options(photos, batch=2), finish=write_report)
    inspected = CliRunner().invoke(cli, ["inspect", str(out / "model.engine")])
    assert "runs here   yes, on tensorrt-rtx" in inspected.stdout
    words = ["--size", "64x96", "--runs", "3", "--json"]
    for batch in ("1", "2"):
        done = CliRunner().invoke(
            cli, ["bench", str(out / "model.engine"), "--batch", batch, *words]
        )
        assert done.exit_code == 0, done.stderr
        (facts,) = json.loads(done.stdout)["models"]
        assert (facts["backend"], facts["device"]) == ("tensorrt-rtx", "cuda:0")
        assert facts["latency_ms"]["infer"]["p50"] > 0
        assert (facts["gpu_memory_bytes"] is None) == (not _ext.cuda_device_count())


def test_an_export_again_leaves_no_kernels_of_the_engine_before(
    build: Callable[[Spoil | None], None],
    model: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "made"
    build(None)
    export_model(model, out, options(photos), finish=write_report)
    stale = out / "model.engine.runtime-cache"
    stale.write_bytes(b"of another engine")
    monkeypatch.delitem(sys.modules, "tensorrt_rtx")  # the stand-in, which builds nothing
    export_model(model, out, options(photos, overwrite=True), finish=write_report)
    key = read_sidecar(out / "model.engine").plan_sha256[:16]
    assert key.encode() in stale.read_bytes()  # of the run that proved the engine
    assert [path for path in out.iterdir() if "runtime-cache" in path.name] == [stale]
