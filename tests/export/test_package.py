"""The whole export, on a small network and real files."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from graphs import pooled_model, small_model, write_photos

from edgecount import EdgeCounter
from edgecount.errors import AccuracyError, ConfigError, ModelError, OutputError, SourceError
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.precision import convert
from edgecount.export.report import write_report
from edgecount.export.verify import gate, images
from edgecount.runtime.cuda.driver import probe_driver


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), 24)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_files_and_their_report(model, photos, tmp_path):
    options = ExportOptions(
        fp16=True, int8=True, calibration=photos, number=18, int8_gate=0.2, threads=1
    )
    steps = []
    out = tmp_path / "made"
    made = export_model(
        model,
        out,
        options,
        progress=lambda *step: steps.append(step),
        finish=write_report,
    )
    assert names(out) == [
        "model.fp16.onnx",
        "model.int8-cpu.onnx",
        "model.int8-fp16.onnx",
        "model.int8.onnx",
        "model.onnx",
        "report.html",
        "report.json",
    ]
    assert names(tmp_path) == ["made", "made.calibration.npz", "small.onnx"]
    assert {what for what, _, _ in steps} >= {
        *("calibrating", "counting with model.fp16.onnx"),
        *("looking for large values", "measuring how fast it is"),
    }
    assert made.real
    assert made.images.startswith("6 images beside the calibration's of")
    report = json.loads((out / "report.json").read_text())
    by_name = {file["file"]: file for file in report["files"]}
    assert by_name["model.onnx"]["verdict"] == "the reference"
    for name in ("model.fp16.onnx", "model.int8.onnx", "model.int8-fp16.onnx"):
        assert by_name[name]["verdict"] == "passed"
        assert len(by_name[name]["proof"]["images"]) == 6
    assert by_name["model.fp16.onnx"]["layers"] == {"fp16": 6}
    assert by_name["model.int8.onnx"]["layers"] == {"int8": 6}
    assert by_name["model.onnx"]["latency_ms"]["p50"] > 0
    assert by_name["model.int8-cpu.onnx"]["latency_ms"]["p50"] > 0
    assert by_name["model.int8-fp16.onnx"]["latency_ms"] is None
    for name in by_name:
        onnx.checker.check_model(onnx.load(out / name), full_check=True)
    page = (out / "report.html").read_text()
    assert page.count("<circle") == 4 * 6
    assert page.count("data:image/jpeg;base64,") == 4 * 2
    assert "http" not in page
    with EdgeCounter(out, backend="onnxruntime", threads=1) as counter:
        expected = counter.count(photos / "00.png").count
    for name in ("model.fp16.onnx", "model.int8-cpu.onnx", "model.int8-fp16.onnx"):
        with EdgeCounter(out / name, backend="onnxruntime", threads=1) as counter:
            assert counter.count(photos / "00.png").count == pytest.approx(expected, rel=0.2)


def test_the_ranges_are_kept_for_the_next_export(model, photos, tmp_path, monkeypatch):
    options = ExportOptions(int8=True, calibration=photos, number=16, int8_gate=0.2, threads=1)
    export_model(model, tmp_path / "made", options, finish=write_report)
    first = (tmp_path / "made" / "model.int8.onnx").read_bytes()

    def again(*_args, **_options):
        raise AssertionError("calibrated twice")

    monkeypatch.setattr(convert, "calibrate", again)
    options = ExportOptions(
        int8=True, calibration=photos, number=16, int8_gate=0.2, threads=1, overwrite=True
    )
    export_model(model, tmp_path / "made", options)
    assert (tmp_path / "made" / "model.int8.onnx").read_bytes() == first


def test_an_overflow_is_found_and_kept_in_float32(photos, tmp_path):
    path = tmp_path / "loud.onnx"
    onnx.save(small_model(gain=2e5), path)
    options = ExportOptions(fp16=True, verify=photos, threads=1)
    made = export_model(str(path), tmp_path / "made", options)
    half = made.files[1].converted
    assert {"second", "second_relu"} <= set(half.kept)
    assert "the type ends at" in half.kept["second"]
    assert half.comparison.passed
    assert "heads" not in half.kept


def test_a_gate_refuses_and_nothing_is_left(model, photos, tmp_path):
    options = ExportOptions(fp16=True, verify=photos, fp16_gate=0.0, threads=1)
    with pytest.raises(AccuracyError, match=r"model\.fp16\.onnx counts differently .* `force`"):
        export_model(model, tmp_path / "made", options)
    assert names(tmp_path) == ["small.onnx"]


def test_force_keeps_what_a_gate_refuses(model, photos, tmp_path):
    options = ExportOptions(fp16=True, verify=photos, fp16_gate=0.0, force=True, threads=1)
    made = export_model(model, tmp_path / "made", options, finish=write_report)
    assert made.files[1].overridden
    assert any("kept by `force`" in text for text in made.warnings)
    report = json.loads((tmp_path / "made" / "report.json").read_text())
    assert report["files"][1]["verdict"] == "refused, kept by force"


@pytest.mark.parametrize("target", ["onnx", "tensorrt-rtx"])
def test_an_onnx_is_exported_without_pytorch(model, photos, tmp_path, target):
    """The extra `engine` has none: it is for boards, where PyTorch is large and hard to get."""
    if target == "tensorrt-rtx":
        pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    words = ["export", model, "--fp16", "--target", target, "--input", "64x96"]
    words += ["--verify", str(photos), "--out", str(tmp_path / "made"), "--threads", "1"]
    code = (
        "import sys\n"
        "for name in ('torch', 'onnxscript', 'edgecount.train'): sys.modules[name] = None\n"
        f"sys.argv = {['edgecount', *words]!r}\n"
        "from edgecount.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / "model.fp16.onnx").is_file()
    assert (tmp_path / "made" / "model.fp16.engine").is_file() == (target != "onnx")


def test_without_images_scenes_are_rendered(model, tmp_path, monkeypatch):
    class One(images.RenderedScenes):
        def __len__(self):
            return 1

    monkeypatch.setattr(images, "RenderedScenes", One)
    made = export_model(model, tmp_path / "made", ExportOptions(fp16=True, fp16_gate=1, threads=1))
    assert not made.real
    assert made.images == "1 rendered scenes"
    assert "`verify`" in made.warnings[0]


def test_int8_needs_images():
    with pytest.raises(ConfigError, match="int8: expected `calibration`"):
        ExportOptions(int8=True)


def test_int8_needs_convolutions(photos, tmp_path):
    path = tmp_path / "pooled.onnx"
    onnx.save(pooled_model(), path)
    options = ExportOptions(int8=True, calibration=photos, threads=1)
    with pytest.raises(ModelError, match=r"expected a model with convolutions .* without `int8`"):
        export_model(str(path), tmp_path / "made", options)
    assert names(tmp_path) == ["pooled.onnx"]


def test_an_unreadable_calibration_image_is_named(model, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "07.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    options = ExportOptions(int8=True, calibration=folder, verify=photos, threads=1)
    with pytest.raises(SourceError, match=r"07\.png"):
        export_model(model, tmp_path / "made", options)
    assert names(tmp_path) == ["photos", "small.onnx"]


def test_an_earlier_export_is_replaced_whole_or_not_at_all(model, photos, tmp_path):
    out = tmp_path / "made"
    options = ExportOptions(verify=photos, threads=1)
    export_model(model, out, options, finish=write_report)
    (out / "notes.txt").write_text("mine")
    before = names(out)
    with pytest.raises(OutputError, match="made exists: choose another `out`, or add `overwrite`"):
        export_model(model, out, options)
    refused = ExportOptions(fp16=True, verify=photos, fp16_gate=0, overwrite=True, threads=1)
    with pytest.raises(OutputError, match=r"made holds what no export wrote.*: notes\.txt"):
        export_model(model, out, refused)
    assert names(out) == before
    (out / "notes.txt").unlink()
    with pytest.raises(AccuracyError):
        export_model(model, out, refused)
    assert names(out) == ["model.onnx", "report.html", "report.json"]
    again = ExportOptions(verify=photos, overwrite=True, threads=1)
    export_model(model, out, again, finish=write_report)
    assert names(out) == ["model.onnx", "report.html", "report.json"]
    assert names(tmp_path) == ["made", "small.onnx"]


def test_nothing_else_is_replaced(model, photos, tmp_path, monkeypatch):
    options = ExportOptions(verify=photos, overwrite=True, threads=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(OutputError, match="mine is no earlier export"):
        export_model(model, tmp_path / "mine", options)
    with pytest.raises(OutputError, match=r"small\.onnx is no earlier export"):
        export_model(model, tmp_path / "small.onnx", options)
    inside = tmp_path / "made"
    inside.mkdir()
    facts = {"made_by": "edgecount 1.0.0", "files": [{"file": "small.onnx"}]}
    (inside / "report.json").write_text(json.dumps(facts))
    (inside / "small.onnx").write_bytes((tmp_path / "small.onnx").read_bytes())
    with pytest.raises(OutputError, match=r"small\.onnx lies in .*made, which the export"):
        export_model(str(inside / "small.onnx"), inside, options)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="out: expected the name of a folder to make"):
        export_model(model, Path(), options)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_a_rename_that_fails_brings_the_earlier_export_back(model, photos, tmp_path, monkeypatch):
    out = tmp_path / "made"
    options = ExportOptions(verify=photos, overwrite=True, threads=1)
    export_model(model, out, options, finish=write_report)
    before = (out / "report.json").read_bytes()
    real = Path.rename

    def fail(self, target):
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match=r"cannot write .*made: No space left on device"):
        export_model(model, out, options, finish=write_report)
    assert (out / "report.json").read_bytes() == before
    assert names(tmp_path) == ["made", "small.onnx"]


def test_an_interrupt_leaves_nothing(model, photos, tmp_path):
    def stop(what, *_):
        if what == "counting with model.fp16.onnx":
            raise KeyboardInterrupt

    options = ExportOptions(fp16=True, verify=photos, threads=1)
    with pytest.raises(KeyboardInterrupt):
        export_model(model, tmp_path / "made", options, progress=stop)
    assert names(tmp_path) == ["small.onnx"]


def test_a_folder_that_cannot_be_made(model, photos, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"cannot write .*made"):
        export_model(model, tmp_path / "file" / "made", ExportOptions(verify=photos))


def test_an_engine_takes_the_usual_sizes_by_default(model, photos, tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    options = ExportOptions(target="tensorrt-rtx", batch=2, verify=photos, threads=1)
    made = export_model(model, tmp_path / "made", options)
    shapes = made.files[-1].engine.shapes
    # The model shrinks frames to 512 px.
    assert (shapes.min, shapes.opt) == ((1, 3, 64, 64), (1, 3, 480, 512))
    assert shapes.max == (2, 3, 512, 512)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_engines_for_two_gpus(model, photos, tmp_path, precision):
    pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    from edgecount.export.options import EngineOptions
    from edgecount.runtime.models.sidecar import read_sidecar

    options = ExportOptions(
        fp16=precision == "fp16",
        int8=precision == "int8",
        calibration=photos if precision == "int8" else None,
        verify=photos,
        int8_gate=0.2,
        target="tensorrt-rtx",
        size=(128, 160),
        engine=EngineOptions("tensorrt-rtx", compute_capabilities=("86", "89")),
        threads=1,
    )
    out = tmp_path / "made"
    export_model(model, out, options, finish=write_report)
    plan = out / ("model.engine" if precision == "fp32" else f"model.{precision}.engine")
    sidecar = read_sidecar(plan)
    assert sidecar.precision == precision
    assert sidecar.compute_capabilities == ("8.6", "8.9")
    assert sidecar.shapes.opt == (1, 3, 128, 160)
    file = json.loads((out / "report.json").read_text())["files"][-1]
    assert file["verdict"] == "built, not run"
    assert file["proof"] is None
    assert file["latency_ms"] is None
    if isinstance(probe_driver(), str):
        assert "driver" in file["engine"]["reason"]
    assert "built, not run" in (out / "report.html").read_text()


def test_a_planted_collapse_of_int8_is_refused(model, photos, tmp_path, monkeypatch):
    real = convert.Calibration.ranges

    def far_too_wide(self, method):
        return {name: (1000 * low, 1000 * high) for name, (low, high) in real(self, method).items()}

    monkeypatch.setattr(convert.Calibration, "ranges", far_too_wide)
    options = ExportOptions(int8=True, calibration=photos, number=18, threads=1)
    with pytest.raises(AccuracyError, match=r"model\.int8\.onnx counts differently"):
        export_model(model, tmp_path / "made", options)
    assert names(tmp_path) == ["made.calibration.npz", "small.onnx"]


def test_one_bad_layer_is_found_and_kept(model, photos, tmp_path, monkeypatch):
    real = convert.Calibration.ranges

    def one_too_wide(self, method):
        return real(self, method) | {"second_cut": (0.0, 1e5)}

    monkeypatch.setattr(convert.Calibration, "ranges", one_too_wide)
    options = ExportOptions(int8=True, calibration=photos, number=18, int8_gate=0.05, threads=1)
    made = export_model(model, tmp_path / "made", options)
    kept = made.files[1].converted.kept
    assert {"third", "side"} <= set(kept)
    assert len(kept) <= 3
    assert "moves the maps" in kept["third"]


def test_overflow_in_an_int8_export(photos, tmp_path):
    path = tmp_path / "loud.onnx"
    onnx.save(small_model(gain=2e5), path)
    options = ExportOptions(int8=True, calibration=photos, number=18, force=True, threads=1)
    made = export_model(str(path), tmp_path / "made", options)
    mixed = next(f.converted for f in made.files if f.path.name == "model.int8-fp16.onnx")
    assert np.isfinite(mixed.comparison.relative)
    assert any("the type ends at" in reason for reason in mixed.kept.values())


def test_pictures_of_nobody_are_said_to_prove_little(model, tmp_path):
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((64, 64, 3), np.uint8))
    options = ExportOptions(fp16=True, verify=tmp_path, fp16_gate=5, threads=1)
    made = export_model(model, tmp_path / "made", options)
    mean = np.mean([one.reference for one in made.files[1].converted.comparison.images])
    assert any("say little" in text for text in made.warnings) == (mean < 1)


def test_lost_points_are_refused_though_the_count_stays(photos, tmp_path, monkeypatch, model):
    monkeypatch.setattr(convert.Comparison, "matched", 0.5)
    monkeypatch.setattr(gate, "FEW_POINTS", 0)
    options = ExportOptions(fp16=True, verify=photos, fp16_gate=1, threads=1)
    with pytest.raises(AccuracyError, match=r"finds 50\.0% of the head points .* at least 95%"):
        export_model(model, tmp_path / "made", options)
