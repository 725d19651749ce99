"""An export for OpenVINO: its files are run by it, and what it counts decides."""

import dataclasses
import json
import re
import sys
from contextlib import contextmanager

import pytest
from graphs import write_photos

from edgecount.errors import AccuracyError, BackendError, MissingExtraError
from edgecount.export import package
from edgecount.export.options import ExportOptions
from edgecount.export.package import export_model
from edgecount.export.report import write_report
from edgecount.export.verify import engines
from edgecount.runtime.backends.openvino import precision as precisions
from edgecount.runtime.models.choose import choose_onnx
from edgecount.runtime.models.machine import this_cpu

pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), 20)


@pytest.fixture
def options(photos):
    return ExportOptions(
        target="openvino", int8=True, calibration=photos, number=16, int8_gate=0.2, threads=1
    )


def engines_of(folder):
    report = json.loads((folder / "report.json").read_text())
    return {file["file"]: file["engines"] for file in report["files"]}


def test_its_counts_and_times_stand_in_the_report(model, options, tmp_path):
    out = tmp_path / "made"
    options = dataclasses.replace(options, fp16=True)
    export_model(model, out, options, finish=write_report)
    files = ["model.fp16.onnx", "model.int8-cpu.onnx", "model.onnx"]
    assert sorted(path.name for path in out.glob("*.onnx")) == files
    found = engines_of(out)
    assert found.keys() == set(files)
    for name, runs in found.items():
        plain = runs[0]
        assert plain["backend"] == "openvino"
        assert plain["precision"] == ("int8" if "int8" in name else "float32")
        assert re.match(r"\d{4}\.\d", plain["version"])
        assert plain["cpu"] == this_cpu()._asdict()
        assert plain["latency_ms"]["p50"] > 0
        assert plain["passed"]
        assert plain["reason"] is None
        assert plain["comparison"]["gate"] == (0.2 if "int8" in name else options.fp16_gate)
        assert len(plain["comparison"]["images"]) == 5
    choice = choose_onnx(out, engines=("openvino", "onnxruntime"))
    assert "took" in choice.reason
    page = (out / "report.html").read_text()
    rows = re.findall(r"<tr>(?s:.)*?</tr>", page.split("<tbody>")[1].split("</tbody>")[0])
    assert sum("openvino" in row for row in rows) >= 3
    assert len({row.count("<td") for row in rows}) == 1


def test_other_exports_are_not_run_by_it(model, photos, tmp_path):
    made = export_model(
        model, tmp_path / "made", ExportOptions(fp16=True, verify=photos, threads=1)
    )
    assert not any(file.runs for file in made.files)


@pytest.fixture
def strict(monkeypatch):
    """Let every INT8 file count too differently in OpenVINO, and there alone."""

    def compare(images, originals, counter, gate, **more):
        found = real(images, originals, counter, gate, **more)
        return dataclasses.replace(found, gate=0.0) if gate == 0.2 else found

    real = engines.compare
    monkeypatch.setattr(engines, "compare", compare)


@pytest.mark.usefixtures("strict")
def test_what_it_counts_too_differently_is_refused(model, options, tmp_path):
    said = r"model\.int8-cpu\.onnx in OpenVINO, computing in int8, counts differently .* `force`"
    with pytest.raises(AccuracyError, match=said):
        export_model(model, tmp_path / "made", options)
    assert not (tmp_path / "made").exists()


@pytest.mark.usefixtures("strict")
def test_what_is_kept_by_force_is_not_run_by_it(model, options, tmp_path, monkeypatch):
    monkeypatch.setattr(precisions, "computes_in", lambda device: ("float32",))
    out = tmp_path / "made"
    made = export_model(model, out, dataclasses.replace(options, force=True), finish=write_report)
    assert any("kept by `force`" in warning for warning in made.warnings)
    (run,) = engines_of(out)["model.int8-cpu.onnx"]
    assert not run["passed"]
    assert "counts differently" in run["reason"]
    assert "Refused, and not used" in (out / "report.html").read_text()
    choice = choose_onnx(out, engines=("openvino",))
    assert (choice.path.name, choice.precision) == ("model.onnx", "float32")


@pytest.fixture
def with_bfloat16(monkeypatch):
    """Let this CPU say that it computes in bfloat16, which it computes in float32 then."""

    @contextmanager
    def open_run(path, backend, precision, threads):
        plain = "int8" if "int8" in precision else "float32"
        with real(path, backend, plain, threads) as counter:
            yield counter

    real = engines.open_run
    monkeypatch.setattr(engines, "open_run", open_run)
    monkeypatch.setattr(precisions, "computes_in", lambda device: ("float32", "bfloat16"))


@pytest.mark.usefixtures("with_bfloat16")
def test_the_faster_precision_of_a_cpu_is_proven(model, options, tmp_path):
    made = export_model(model, tmp_path / "made", options)
    runs = [(run.file, run.precision, run.refusal) for file in made.files for run in file.runs]
    assert runs == [
        ("model.onnx", "float32", ""),
        ("model.onnx", "bfloat16", ""),
        ("model.int8-cpu.onnx", "int8", ""),
        ("model.int8-cpu.onnx", "int8+bfloat16", ""),
    ]


@pytest.mark.usefixtures("with_bfloat16")
def test_a_faster_precision_that_fails_is_noted(model, options, tmp_path, monkeypatch):
    def fails(images, originals, counter, gate, **more):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise BackendError("the map is not finite")
        return real(images, originals, counter, gate, **more)

    calls, real = 0, engines.compare
    monkeypatch.setattr(engines, "compare", fails)
    made = export_model(model, tmp_path / "made", dataclasses.replace(options, int8=False))
    exact, faster = made.files[0].runs
    assert not exact.refusal
    assert faster.comparison is None
    assert "model.onnx in OpenVINO, computing in bfloat16, cannot count" in faster.refusal
    assert any("it is not used" in warning for warning in made.warnings)


def test_a_file_that_cannot_count_there_ends_the_export(model, options, tmp_path, monkeypatch):
    def fails(*_args, **_more):
        raise BackendError("the map is not finite")

    monkeypatch.setattr(engines, "compare", fails)
    with pytest.raises(AccuracyError, match=r"model\.onnx in OpenVINO.* cannot count: the map"):
        export_model(model, tmp_path / "made", options)


def test_without_openvino_nothing_is_begun(model, options, tmp_path, monkeypatch):
    def begun(*_args, **_more):
        raise AssertionError("the long work was begun")

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(package, "load_source", begun)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[openvino\]"'):
        export_model(model, tmp_path / "made", options)
