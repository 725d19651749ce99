"""`count` on images and folders: lines, JSON, regions, options, failures."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgecount.cli import cli


def test_image_is_one_line(run, files):
    path = files.image("one.png", 3)
    result = run("count", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"      3.0  {path}\n"


def test_several_images_have_a_mean_and_a_range(run, files):
    first, second = files.image("a.png", 1), files.image("b.png", 4)
    result = run("count", first, second)
    assert result.stdout.splitlines() == [
        f"      1.0  {first}",
        f"      4.0  {second}",
        "      2.5  mean of 2 images, lowest 1.0 (a.png), highest 4.0 (b.png)",
    ]
    assert "mean" not in run("count", first, second, "--quiet").stdout


def test_facts_stand_in_columns(run, files):
    region = ("--region", "left:0,0;90,0;90,240;0,240")  # the squares are at x = 16, 64, 112
    lines = run("count", files.image("a.png", 1), files.image("longer.png", 3), *region).stdout
    first, second, summary = lines.splitlines()
    assert first.index("left 1.0") == second.index("left 2.0")
    assert summary.endswith("  left 1.5")


def test_folder_is_counted_in_natural_order(run, files, tmp_path):
    for number in (10, 9, 1):
        files.image(f"in/frame{number}.png", 1)
    lines = run("count", tmp_path / "in").stdout.splitlines()
    assert [Path(line.split()[1]).stem for line in lines[:-1]] == ["frame1", "frame9", "frame10"]


def test_glob(run, files, tmp_path):
    files.image("in/left.png", 2)
    files.image("in/right.png", 3)
    assert run("count", tmp_path / "in" / "l*.png").stdout.split()[0] == "2.0"


def test_json_has_the_fields_of_the_contract(run, files, json_lines):
    path = files.image("one.png", 2)
    result = run("count", path, "--json")
    (line,) = json_lines(result.stdout)
    assert list(line) == [
        "source",
        "frame",
        "time",
        "captured",
        "media_time",
        "size",
        "count",
        "interval",
        "density_count",
        "peak_count",
        "regions",
        "overflow",
        "model",
        "backend",
        "precision",
        "timings_ms",
        "points",
    ]
    assert (line["source"], line["frame"], line["count"], line["points"]) == (str(path), 0, 2, 2)
    assert line["peak_count"] == 2
    assert (line["overflow"], line["time"], line["size"]) == (False, 0.0, [320, 240])
    assert set(line["timings_ms"]) == {"preprocess", "infer", "postprocess"}


def test_json_points(run, files, json_lines):
    result = run("count", files.image("one.png", 2), "--json", "--points")
    (line,) = json_lines(result.stdout)
    assert line["points"] == [[18.0, 18.0, 1.0], [66.0, 18.0, 1.0]]
    assert line["peak_count"] == 2


def test_a_detector_gives_its_boxes(run, files, json_lines, make_model, tmp_path):
    model = make_model(roles=("scores", "boxes"))
    path = files.image("one.png", 2)
    options = ["--json", "--points", "--model", str(model), "--save", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, ["count", str(path), *options])
    (line,) = json_lines(result.stdout)
    assert (line["count"], line["density_count"]) == (2, None)
    assert line["points"] == [[20, 20, 1], [68, 20, 1]]
    assert line["boxes"] == [[16, 16, 24, 24], [64, 16, 72, 24]]
    assert len(list((tmp_path / "out").iterdir())) == 1
    shown = run("inspect", model).stdout
    assert "boxes: boxes_8, one cell per 8 px" in shown
    assert "above 0.4, less those with an IoU above 0.5 with a better one" in shown


def test_regions(run, files, json_lines):
    path = files.image("one.png", 3)  # at x = 16, 64, 112
    left = "left:0,0;90,0;90,240;0,240"
    result = run("count", path, "--region", left, "--region", "b:90,0;320,0;320,240;90,240")
    assert result.stdout == f"      3.0  {path}  left 2.0, b 1.0\n"
    (line,) = json_lines(run("count", path, "--region", left, "--json").stdout)
    assert line["regions"]["left"]["count"] == 2


def test_threshold_and_max_side(run, files):
    path = files.image("one.png", 2)
    assert run("count", path, "--threshold", 0.99).stdout.split()[0] == "2.0"
    assert run("count", path, "--max-side", "native").stdout.split()[0] == "2.0"
    assert run("count", path, "--max-side", 320).stdout.split()[0] == "2.0"
    assert run("count", path, "--max-side", 32).stdout.split()[0] != "2.0"


def test_backend_by_name(run, files, json_lines):
    path = files.image("one.png", 2)
    (line,) = json_lines(run("count", path, "--backend", "onnxruntime", "--json").stdout)
    assert line["backend"].startswith("onnxruntime")
    result = run("count", path, "--backend", "abacus")
    assert result.exit_code == 2
    assert "abacus" in result.stderr


def test_precision_by_name(run, files, json_lines):
    path = files.image("one.png", 2)
    (line,) = json_lines(run("count", path, "--precision", "float32", "--json").stdout)
    assert line["precision"] == "float32"
    result = run("count", path, "--backend", "onnxruntime", "--precision", "float16")
    assert result.exit_code == 1
    assert "--precision: float16 was asked for, and onnxruntime computes" in result.stderr
    assert run("count", path, "--precision", "int4").exit_code == 2


def test_verbose_says_which_backend(run, files):
    result = run("count", files.image("one.png", 2), "--verbose")
    assert "edgecount: info: backend onnxruntime" in result.stderr


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def truncated_jpeg(folder: Path) -> Path:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    return write(folder / "cut.jpg", data[: len(data) // 2])


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


BAD = {
    "truncated": truncated_jpeg,
    "not an image": lambda folder: write(folder / "text.jpg", b"hello\n"),
    "nothing to count": empty_folder,
    "empty (0 bytes)": lambda folder: write(folder / "zero.mp4", b""),
    "cannot be opened as a video": lambda folder: write(folder / "text.mp4", b"hello\n"),
    "no such file": lambda folder: folder / "nothing.png",
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_source_is_one_clear_line(run, tmp_path, reason):
    path = BAD[reason](tmp_path)
    result = run("count", path)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("edgecount: error: ")
    assert reason in line
    assert str(path) in line


def test_unreadable_folder_is_one_clear_line(run, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)  # root reads a folder of mode 0
    result = run("count", tmp_path)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "permission" in line
    assert str(tmp_path) in line


def test_bad_file_in_a_folder_does_not_stop_the_others(run, files, tmp_path):
    files.image("in/a.png", 1)
    write(tmp_path / "in" / "b.jpg", b"hello\n")
    files.image("in/c.png", 2)
    result = run("count", tmp_path / "in", tmp_path / "missing.png")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        "      1.5  mean of 2 images, lowest 1.0 (a.png), highest 2.0 (c.png)  2 failed"
    )
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--region", "gate:0,0"], "--region"),
        (["--region", "gate"], "NAME:x,y;x,y;x,y"),
        (["--max-side", "big"], "--max-side"),
        (["--max-side", "0"], "--max-side"),
        (["--threshold", "1"], "--threshold"),
        (["--threads", "0"], "--threads"),
        (["--every", "0"], "--every"),
        (["--points"], "--json"),
        (["--overwrite"], "--save"),
        (["--region", "a:0,0;9,0;9,9", "--region", "a:0,0;9,0;9,9"], "'a'"),
    ],
)
def test_wrong_use(run, files, args, word):
    result = run("count", files.image("one.png", 1), *args)
    assert result.exit_code == 2
    assert word in result.stderr
    assert result.stdout == ""


def test_no_source_is_wrong_use(run):
    assert run("count").exit_code == 2


def test_damaged_and_large_files_name_the_flags(run, files, tmp_path):
    good, large = files.image("a.png", 2), tmp_path / "large.bmp"
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(bytes(cv2.imencode(".jpg", cv2.imread(str(good)))[1])[:-2])
    large.write_bytes(b"BM" + bytes(12) + struct.pack("<Iii", 40, 30000, 30000) + bytes(28))
    result = run("count", damaged, good, large, "-q")
    assert result.exit_code == 1
    assert result.stdout == f"      2.0  {good}\n"
    first, second = result.stderr.splitlines()
    assert "damaged.jpg is truncated" in first
    assert "or set --accept-damaged to take it all the same" in first
    assert "large.bmp has 30000 x 30000 pixels" in second
    assert "or set --max-pixels higher" in second
    taken = run("count", damaged, "-q", "--accept-damaged")
    assert taken.exit_code == 0
    assert "2.0" in taken.stdout
    assert "edgecount: warning: " in taken.stderr
    assert run("count", good, "--max-pixels", 100).exit_code == 1


def test_pipes_and_devices_in_a_folder_do_not_block(run, files, tmp_path):
    files.image("in/a.png", 1)
    os.mkfifo(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").symlink_to("/dev/zero")
    files.image("in/d.png", 2)
    result = run("count", tmp_path / "in", "-q")
    assert result.exit_code == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["1.0", "2.0"]
    assert "b.png is a pipe" in result.stderr
    assert "c.png is a device" in result.stderr


def test_zoom_searches_dense_regions_again(run, files):
    """Squares of 8 x 8 px are found in one pass; enlarged, each is one plateau still."""
    path = files.image("one.png", 3)
    once = json.loads(run("count", path, "--json").stdout)
    result = run("count", path, "--json", "--zoom", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    twice = json.loads(result.stdout)
    assert twice["interval"] is None
    assert twice["density_count"] == once["density_count"]
    assert twice["timings_ms"]["infer"] > 0
    refused = run("count", path, "--zoom", 3)
    assert refused.exit_code == 2
    assert "0<=x<=2" in refused.stderr
