"""`export` and `bench` as they are typed."""

import json
import sys
from dataclasses import fields
from pathlib import Path

import click
import onnx
import pytest
from graphs import small_manifest, small_model, write_photos

from edgecount.cli._shell.flags import with_flags
from edgecount.cli.export import export
from edgecount.errors import ConfigError
from edgecount.export.options import EngineOptions, ExportOptions
from edgecount.manifest import METADATA_KEY


@pytest.fixture
def in_command():
    with click.Context(export):
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), 4)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.onnx"
    onnx.save(small_model(), path)
    return path


def test_a_folder_of_files(run, model, photos, tmp_path):
    out = tmp_path / "made"
    result = run("export", model, "--fp16", "--verify", photos, "--out", out, "--threads", "1")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1].split()[0] == "model.onnx"
    assert lines[2].split()[0] == "model.fp16.onnx"
    assert lines[2].endswith("passed")
    assert str(out / "report.html") in lines
    assert lines[-1] == f"now run  edgecount count SOURCE --model {out}"
    head, *rows = run("inspect", out).stdout.splitlines()
    assert head.split()[:5] == ["file", "model", "precision", "MB", "input"]
    assert rows[0].split()[:4] == ["model.fp16.onnx", "small-fp16", "1.0.0", "fp16"]
    assert rows[1].split()[:4] == ["model.onnx", "small", "1.0.0", "fp32"]
    assert all(row.endswith("yes, on onnxruntime") for row in rows[:2])
    assert rows[-1] == "counting with the folder takes model.onnx here"
    facts = json.loads(run("inspect", out, "--json").stdout)
    assert [file["layers"] for file in facts["files"]] == [{"fp16": 6}, {"fp32": 6}]


def test_json_is_the_report(run, model, photos, tmp_path):
    out = tmp_path / "made"
    result = run("export", model, "--verify", photos, "--out", out, "--json", "--threads", "1")
    facts = json.loads(result.stdout)
    assert facts["folder"] == str(out)
    assert [file["file"] for file in facts["files"]] == ["model.onnx"]


def test_one_file(run, model, tmp_path):
    out = tmp_path / "one.onnx"
    result = run(
        "export",
        model,
        "--out",
        out,
        "--input",
        "64x96",
        "--name",
        "mine",
        "--model-version",
        "3.0.0",
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"{out}  mine 3.0.0")
    assert run("export", model, "--out", out).exit_code == 1
    assert run("export", model, "--out", out, "--overwrite").exit_code == 0
    refused = run("export", model, "--out", tmp_path / "two.onnx", "--fp16")
    assert refused.exit_code == 2
    assert "expected a folder for --fp16" in refused.stderr


def test_an_external_network(run, photos, tmp_path):
    path, described = tmp_path / "external.onnx", tmp_path / "manifest.json"
    onnx.save(small_model(manifest=False), path)
    words = ("export", path, "--out", tmp_path / "made", "--verify", photos, "--threads", "1")
    refused = run(*words)
    assert refused.exit_code == 2
    assert "give one (--manifest) that says" in refused.stderr
    assert f"edgecount inspect {path} --manifest-template > manifest.json" in refused.stderr
    template = run("inspect", path, "--manifest-template")
    assert template.exit_code == 0, template.stderr
    described.write_text(template.stdout)
    refused = run(*words, "--manifest", described)
    assert refused.exit_code == 2
    assert f"--manifest: {described}: " in refused.stderr
    assert "FILL IN" in refused.stderr
    described.write_text("{}", encoding="utf-16")
    refused = run(*words, "--manifest", described)
    assert f"--manifest: {described} is no text in UTF-8" in refused.stderr
    manifest = json.loads(template.stdout)
    manifest["input"] |= {"channels": "RGB", "mean": [0, 0, 0], "scale": [0.01, 0.01, 0.01]}
    described.write_text(json.dumps(manifest), encoding="utf-8-sig")  # as some editors save
    result = run(*words, "--manifest", described)
    assert result.exit_code == 0, result.stderr
    made = onnx.load(tmp_path / "made" / "model.onnx")
    (carried,) = (e.value for e in made.metadata_props if e.key == METADATA_KEY)
    assert json.loads(carried) == manifest
    assert (
        run("export", path, "--manifest", described, "--out", tmp_path / "one.onnx").exit_code == 0
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--manifest: cannot read"),
        ("{", "the manifest is not JSON"),
        (b"\xff\xfe", "--manifest: "),
    ],
)
def test_a_manifest_that_cannot_be_read(run, tmp_path, content, message):
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    onnx.save(small_model(manifest=False), tmp_path / "external.onnx")
    result = run("export", tmp_path / "external.onnx", "--manifest", path, "--out", tmp_path / "x")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_manifest_beside_the_one_inside(run, model, tmp_path):
    (tmp_path / "manifest.json").write_text(small_manifest().to_json())
    words = ("--manifest", tmp_path / "manifest.json", "--out", tmp_path / "made")
    result = run("export", model, *words)
    assert result.exit_code == 2
    assert f"--manifest: {model} carries one: leave it out" in result.stderr


@pytest.mark.parametrize(
    ("given", "python", "command"),
    [
        ({"batch": 0}, "batch: expected 1 to 1024 frames, got 0", "--batch: expected 1 to 1024"),
        (
            {"int8": True},
            "int8: expected `calibration` with",
            "--int8: expected --calibration with",
        ),
        ({"threads": 0}, "threads: expected a number from 1", "--threads: expected a number from"),
        ({"int8_gate": -1}, "int8_gate: expected a number", "--gate-int8: expected a number"),
        ({"target": "gpu"}, "target: expected one of auto, onnx", "--target: expected one of auto"),
        ({"method": "mean"}, "method: expected one of percentile", "--method: expected one of"),
    ],
)
def test_python_names_options_and_the_command_names_flags(in_command, given, python, command):
    with pytest.raises(ConfigError) as refused:
        ExportOptions(**given)
    assert str(refused.value).startswith(python)
    assert with_flags(str(refused.value)).startswith(command)


def test_flags_of_all_options(in_command):
    """Every option of the library is a flag, but for those that group others."""
    options = {field.name for field in (*fields(ExportOptions), *fields(EngineOptions))}
    flags = {name for option in export.params for name in option.opts}
    for name in options - {"engine", "precision"}:
        assert with_flags(f"`{name}`").split()[0] in flags, name
        assert with_flags(f"{name}: expected").startswith("--"), name
    assert with_flags("use `target=tensorrt`: batch: `x`") == "use --target tensorrt: batch: `x`"


def test_a_refused_file_is_one_line_and_exit_code_1(run, model, photos, tmp_path):
    out = tmp_path / "made"
    result = run(
        *("export", model, "--fp16", "--gate-fp16", "0", "--verify", photos, "--out", out),
        *("--threads", "1"),
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("edgecount: error: model.fp16.onnx counts differently")
    assert result.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--input", "640"), "expected a height and a width in pixels such as 480x640"),
        (("--input", "dynamic:64x64:32x32:128x128"), "expected min <= opt <= max"),
        (("--input", "dynamic:64x64"), "expected dynamic:minHxW:optHxW:maxHxW"),
        (("--compute-capability", "89"), "expected with --target tensorrt-rtx"),
        (("--input", "dynamics"), "expected a height and a width"),
        (("--method", "entropy"), "--method: expected with --int8"),
        (("--gate-fp16", "0.1"), "--gate-fp16: expected with --fp16"),
        (("--target", "onnx", "--batch", "2"), "--batch: expected with --target tensorrt"),
        (("--target", "openvino", "--batch", "2"), "--batch: expected with --target tensorrt"),
        (("--target", "openvino", "--workspace", "9"), "--workspace: expected with --target tens"),
        (("--target", "openvino", "--int8"), "--int8: expected --calibration with"),
        (("--fp16", "--gate-fp16", "nan"), "'--gate-fp16': expected a finite number, got nan"),
        (("--int8",), "--int8: expected --calibration with"),
        (("--calibration", "/nowhere", "--int8"), "--calibration: expected a folder of images"),
        (
            ("--fp16", "--gate-fp16", "50"),
            "--gate-fp16: expected a share of the mean count, 0 to 1",
        ),
        (("--name", ""), "expected the model's name, got an empty one"),
        (("--model-version", "foo"), "expected numbers such as 1.2.0, got 'foo'"),
        (("--opset", "13"), "13 is not in the range 14<=x<=21"),
        (("--batch", "100000000"), "is not in the range 1<=x<=1024"),
        (
            ("--target", "onnx", "--input", "dynamic:64x64:64x64:128x128"),
            "--input dynamic: expected with --target tensorrt",
        ),
        (
            ("--target", "tensorrt-rtx", "--dla", "0"),
            "--dla: TensorRT for RTX knows no accelerators",
        ),
        (("--input", "100x100"), "multiples of 32, got 100x100; the nearest is 96x96"),
    ],
)
def test_options_that_make_no_sense(run, model, tmp_path, options, message):
    result = run("export", model, "--out", tmp_path / "made", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "made").exists()


def test_a_model_that_triton_has_is_refused_first(run, model, tmp_path):
    options = ("--out", tmp_path / "made", "--triton", tmp_path / "models", "--batch", "2")
    assert run("export", model, *options).exit_code == 0
    (served,) = (tmp_path / "models").iterdir()
    assert "max_batch_size: 2" in (served / "config.pbtxt").read_text()
    result = run("export", model, *options[2:], "--out", tmp_path / "again")
    assert result.exit_code == 1
    assert f"{served} exists: choose another --triton, or add --overwrite" in result.stderr
    assert not (tmp_path / "again").exists()
    assert run("export", model, *options, "--overwrite").exit_code == 0
    one = run("export", model, *options[:-1], "1", "--overwrite")
    assert one.exit_code == 0
    assert "max_batch_size: 1" in (served / "config.pbtxt").read_text()


def test_a_repository_that_cannot_be_written_is_refused_first(run, model, tmp_path):
    (tmp_path / "file").touch()
    options = ("--out", tmp_path / "made", "--triton", tmp_path / "file" / "models")
    result = run("export", model, *options)
    assert result.exit_code == 1
    assert f"{tmp_path / 'file'} is no folder that can be written to" in result.stderr
    assert not (tmp_path / "made").exists()


def test_sizes_of_an_engine_do_nothing_for_one_file(run, model, tmp_path):
    out = tmp_path / "one.onnx"
    result = run("export", model, "--out", out, "--input", "dynamic:64x64:64x64:128x128")
    assert result.exit_code == 2
    assert "--input dynamic: expected with --target" in result.stderr


def test_the_home_folder_in_one_word_with_its_option(run, model, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    photos.rename(tmp_path / "photos")
    try:
        result = run("export", model, "--verify=~/photos", "--out=~/made", "--threads", "1")
    finally:
        (tmp_path / "photos").rename(photos)
    assert result.exit_code == 0, result.stderr
    assert f"\n{tmp_path / 'made' / 'report.html'}\n" in result.stdout
    assert run("export", model, "--out=~/one.onnx").exit_code == 0
    assert (tmp_path / "one.onnx").is_file()


def test_the_table_tells_of_regions_and_the_worst_image(run, model, photos, tmp_path):
    out = tmp_path / "made"
    result = run("export", model, "--fp16", "--verify", photos, "--out", out, "--threads", "1")
    heads, _, line = (row.split() for row in result.stdout.splitlines()[:3])
    assert heads[4:7] == ["bias", "worst", "regions"]
    proof = json.loads((out / "report.json").read_text())["files"][1]["proof"]
    apart = [one["candidate"] - one["reference"] for one in proof["images"]]
    assert line[6] == f"{max(apart, key=abs):+.2f}"
    assert line[7] == f"{proof['regions']:.2f}"


def test_runs_of_openvino_stand_below_their_file(run, model, photos, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    words = ("--target", "openvino", "--verify", photos, "--threads", "1", "--gate-fp16", "0.01")
    result = run("export", model, "--out", tmp_path / "made", *words)
    assert result.exit_code == 0, result.stderr
    _, exact, own = result.stdout.splitlines()[:3]
    assert exact.startswith("model.onnx ")
    assert own.split()[:3] == ["openvino", "float32", "0.00%"]
    assert own.endswith("passed")
    one = run("export", model, "--out", tmp_path / "one.onnx", "--target", "openvino")
    assert "--out: expected a folder" in one.stderr


def test_without_openvino_the_extra_is_named(run, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = run("export", model, "--out", tmp_path / "made", "--target", "openvino")
    assert result.exit_code == 1
    assert 'pip install "edgecount[openvino]"' in result.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["onnx", "onnxslim"])
def test_a_missing_package_is_named(run, model, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    result = run("export", model, "--out", tmp_path / "made")
    assert result.exit_code == 1
    assert 'pip install "edgecount[engine]"' in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("their.pth", "expected a bundled name, an .onnx of the whole network"),
        ("model.engine", "is an engine: export from the .onnx"),
    ],
)
def test_what_cannot_be_exported_says_what_can(run, tmp_path, name, message):
    (tmp_path / name).write_bytes(b"anything")
    result = run("export", tmp_path / name, "--out", tmp_path / "made")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "made").exists()


def test_an_engine_is_inspected_from_its_sidecar(run, model, photos, tmp_path):
    pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    out = tmp_path / "made"
    result = run(
        *("export", model, "--fp16", "--target", "tensorrt-rtx", "--compute-capability", "89"),
        *("--input", "64x96", "--verify", photos, "--out", out, "--threads", "1"),
    )
    assert result.exit_code == 0, result.stderr
    assert "built, not run" in result.stdout
    plan = out / "model.fp16.engine"
    text = run("inspect", plan).stdout
    assert "needs       a GPU of compute capability 8.9" in text
    assert "1x3x64x96" in text
    facts = json.loads(run("inspect", plan, "--json").stdout)
    assert facts["engine"]["precision"] == "fp16"
    plan.write_bytes(plan.read_bytes()[:-1])
    facts = json.loads(run("inspect", plan, "--json").stdout)
    assert "not the one that its sidecar describes" in facts["why_not"]
    plan.with_name("model.fp16.engine.json").unlink()
    assert run("inspect", plan).exit_code == 1
    result = run("inspect", out)
    assert result.exit_code == 1
    assert result.stdout.count("yes, on onnxruntime") == 2
    assert "model.fp16.engine: cannot read" in result.stdout
    result = run("inspect", out, "--json")
    assert result.exit_code == 1
    files = {Path(file["file"]).name: file for file in json.loads(result.stdout)["files"]}
    assert len(files) == 3
    assert "model.fp16.engine.json" in files["model.fp16.engine"]["why_not"]


def test_bench_of_two(run, model):
    result = run("bench", model, model, "--size", "64x96", "--runs", "3", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("64x96, a frame, 3 runs each\n")
    assert result.stdout.count("postprocess") == 2
    assert "x as fast as" in result.stdout
    facts = json.loads(
        run("bench", model, "--size", "64x96", "--runs", "3", "--batch", "2", "--json").stdout
    )
    (entry,) = facts["models"]
    times = entry["latency_ms"]
    assert set(times) == {"infer", "total"}
    assert 0 < times["total"]["p50"] <= times["total"]["p95"] <= times["total"]["p99"]
    assert entry["frames_per_second"] == pytest.approx(2000 / times["total"]["mean"])


@pytest.mark.parametrize("batch", [1, 2])
def test_bench_says_at_which_size_a_model_ran(run, make_model, batch):
    fixed = make_model(static_size=(64, 96))
    words = ("bench", fixed, "--size", "540x960", "--batch", batch, "--runs", "2", "--threads", "1")
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("540x960, run at 64x96, ")
    (entry,) = json.loads(run(*words, "--json").stdout)["models"]
    assert entry["ran"] == [64, 96]


def test_bench_of_nothing(run):
    assert run("bench").exit_code == 2
    assert run("bench", "none.onnx").exit_code == 1
