"""`models` and `inspect`."""

from __future__ import annotations

import json
import sys

import onnx
import pytest

from edgecount.cli.models import measured_lines, metric_lines, told_apart
from edgecount.models import list_models


def test_models_lists_what_is_bundled(run):
    result = run("models", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == list_models()
    text = run("models").stdout
    for row in rows:
        assert row["bytes"] < 9_000_000
        assert 0 < row["parameters"] <= 2_000_000
        assert row["licence"]
        assert f"{row['name']} {row['version']}" in text


def test_metrics_are_a_line_per_data_set():
    metrics = {"street": {"images": 80, "fused": {"mae": 12.345, "rmse": 20.0}}, "hall": 3.0}
    assert metric_lines(metrics) == ["street: images 80, fused mae 12.35, fused rmse 20", "hall: 3"]
    assert metric_lines(None) == []


def test_cameras_that_a_model_never_saw_come_first():
    street = {"images": 80, "mae": 12.3, "people": 120.0, "title": "a street", "seen": True}
    cafe = {"images": 68, "mae": 1.77, "people": 10.8, "title": "a cafe", "seen": False}
    empty = {"images": 12, "mae": 0.2, "people": 0.0, "f1": 0.0, "seen": False}
    lines = measured_lines({"street": street, "more-cafe": cafe})
    assert lines[0] == "cameras it never saw: MAE 1.8 of 11 people (68 pictures, a cafe)"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "held-out pictures",
        "a cafe",
        "a street",
    ]
    lines = measured_lines({"street": street, "more-cafe": cafe, "no_one": empty})
    assert lines[0] == "cameras it never saw: MAE 1.5 of 9 people (80 pictures of 2 sets)"
    assert lines[3].split() == ["no", "one", "12", "0", "0.2", "-"]
    assert measured_lines({"street": street})[0] == "cameras it never saw: not measured"
    assert measured_lines({"hall": {"images": 3, "mae": 1.0}})[0].startswith("held-out pictures")
    assert measured_lines({"hall": 3.0}) == ["hall: 3"]
    assert measured_lines(None) == []
    for odd in ({"mae": "x"}, {"mae": 1.0, "f1": [2]}, {"mae": float("nan")}, {}):
        assert all(line.startswith("hall: ") for line in measured_lines({"hall": odd}))


def test_numbers_of_trainings_that_left_a_set_out_stand_apart():
    street = {"images": 80, "mae": 12.3, "people": 120.0, "title": "a street", "seen": True}
    cafe = {"images": 68, "mae": 1.77, "people": 10.8, "title": "a cafe", "seen": False}
    left_out = {**street, "left_out_mae": 25.0, "left_out_people": 125.0, "coverage": 0.5}
    indoors = {**cafe, "left_out_mae": 2.16, "left_out_people": 10.8, "coverage": 0.886}
    alike = {**street, "title": "a hall", "coverage": 0.99}
    lines = measured_lines({"street": left_out, "more-cafe": indoors, "hall": alike})
    assert lines[1] == "sets left out of training: off by 20% (mean of 2 sets)"
    assert [line.split("  |  ")[1].split() for line in lines[2:]] == [
        ["left", "out:", "people", "MAE", "inside"],
        ["11", "2.2", "89%"],
        ["125", "25.0", "50%"],
        ["-", "-", "-"],  # its coverage is of the other pictures
    ]
    assert lines[2].split("  |  ")[0].split() == ["held-out", "pictures", *lines[2].split()[2:5]]
    assert lines[3].split("  |  ")[0].split() == ["a", "cafe", "68", "11", "1.8"]
    assert len(set(map(len, lines[2:]))) == 1
    (heading, row) = measured_lines({"hall": alike})[1:]
    assert heading.split() == ["held-out", "pictures", "pictures", "people", "MAE", "inside"]
    assert row.split() == ["a", "hall", "80", "120", "12.3", "99%"]


def test_programs_are_told_which_pictures_a_coverage_is_of(run):
    assert told_apart({"a": {"mae": 1.0}, "b": 2.0}) == {"a": {"mae": 1.0}, "b": 2.0}
    rows = {row["name"]: row["metrics"] for row in json.loads(run("models", "--json").stdout)}
    small = rows["edgecount-s"]["more-cafe"]
    assert (small["coverage"], small["coverage_of"]) == (0.8824, "left_out")
    assert rows["edgecount-s"]["negatives"]["coverage_of"] == "held_out"
    assert rows["edgecount-n"]["negatives"]["coverage_of"] == "held_out"
    assert metric_lines({"a": {"coverage": 0.5, "left_out_mae": 2.0}}) == [
        "a: left_out_coverage 0.5, left_out_mae 2"
    ]


def test_bundled_models_say_how_they_count_where_they_never_were(run):
    text = run("models").stdout
    assert text.count("cameras it never saw: MAE ") == len(list_models())
    assert "(68 pictures, a cafe from above)" in text


def test_inspect_json(run, tiny_model):
    facts = json.loads(run("inspect", tiny_model, "--json").stdout)
    assert facts["manifest"]["name"] == "tiny"
    assert facts["opset"] == 17
    assert facts["runs"] is True
    assert facts["tensors"]["inputs"] == ["image float [B, 3, H, W]"]


def test_inspect_text(run, tiny_model):
    text = run("inspect", tiny_model).stdout
    assert "runs here   yes, on onnxruntime" in text
    assert "density: density, one cell per 8 px" in text


def test_inspect_of_a_model_without_manifest(run, tiny_model, tmp_path):
    model = onnx.load(tiny_model)
    del model.metadata_props[:]
    path = tmp_path / "plain.onnx"
    onnx.save(model, path)
    result = run("inspect", path)
    assert result.exit_code == 0
    assert "runs here   no: " in result.stdout
    assert "manifest" in result.stdout
    assert json.loads(run("inspect", path, "--json").stdout)["manifest"] is None


def test_inspect_without_onnxruntime(run, tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = run("inspect", tiny_model)
    assert result.exit_code == 0
    assert 'pip install "edgecount[cpu]"' in result.stdout


@pytest.mark.parametrize("content", [None, b"", b"hello, I am no model", b"\x08"])
def test_inspect_of_no_model(run, tmp_path, content):
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    result = run("inspect", path)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert str(path) in line


def test_inspect_of_a_cut_model(run, tiny_model, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_model.read_bytes()[:-40])
    assert run("inspect", path).exit_code == 1
