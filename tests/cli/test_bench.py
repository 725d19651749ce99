"""`bench`: which combinations run, what they count, and the memory that it tells of."""

import json
import subprocess
import sys

import cv2
import pytest

from edgecount.cli._bench.table import text_lines
from edgecount.scenes import render_scene

FEW = ("--runs", "2", "--size", "96x128", "--threads", "1")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_depend_on_the_order(tiny_model):
    """In a process of its own: here ONNX Runtime is loaded already."""
    words = ("bench", *[tiny_model] * 3, *FEW)
    done = subprocess.run(
        [sys.executable, "-m", "edgecount", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    taken = [entry["memory_bytes"] for entry in json.loads(done.stdout)["models"]]
    # The shared libraries alone are some 30 MiB, the tiny model is one or two.
    assert max(taken) - min(taken) < 10 * 2**20


def test_every_combination_is_a_row(run, tiny_model):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    engines = ("--backend", "onnxruntime", "--backend", "openvino")
    exact = ("--precision", "float32")  # by itself it would be bfloat16 where that is fast
    result = run("bench", tiny_model, tiny_model, *engines, *exact, *FEW, "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    rows = facts["models"]
    assert [row["backend"] for row in rows] == ["onnxruntime", "openvino"] * 2
    assert facts["failed"] == []
    assert facts["frame"] == "a rendered scene of 1 person"
    for row in rows:
        assert row["precision"] == "float32"
        assert row["count"] == pytest.approx(rows[0]["count"], abs=1e-3)
        assert row["difference"] == pytest.approx(0, abs=1e-3)
        assert row["frames_per_second"] > 0
        assert row["frames_per_second_at_once"] > 0


def test_what_does_not_run_is_named_with_the_reason(run, tiny_model):
    engines = ("--backend", "onnxruntime", "--backend", "tensorrt", "--precision", "auto")
    result = run("bench", tiny_model, *engines, "--precision", "float16", *FEW)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("total") == 1
    assert f"{tiny_model} on tensorrt does not run: " in result.stdout
    assert f"{tiny_model} on onnxruntime in float16 does not run: --precision" in result.stdout
    failed = json.loads(
        run("bench", tiny_model, *engines, "--precision", "auto", *FEW, "--json").stdout
    )["failed"]
    assert {one["backend"] for one in failed} == {"tensorrt"}
    assert all(one["reason"] for one in failed)


def test_where_nothing_runs_the_first_reason_is_the_error(run, tiny_model):
    half = ("--precision", "float16", "--precision", "bfloat16")
    result = run("bench", tiny_model, "--backend", "onnxruntime", *half, *FEW)
    assert result.exit_code == 1
    assert "--precision: float16 was asked for" in result.stderr
    result = run("bench", tiny_model, "--precision", "auto", "--precision", "int4", *FEW)
    assert result.exit_code == 2
    assert "--precision: expected one of" in result.stderr


def test_a_name_of_no_backend_is_an_error_beside_others(run, tiny_model):
    result = run("bench", tiny_model, "--backend", "onnxruntime", "--backend", "opnvino", *FEW)
    assert result.exit_code == 2
    assert "expected one of auto, " in result.stderr
    assert "did you mean 'openvino'?" in result.stderr
    assert not result.stdout


def test_a_picture_of_ones_own(run, tiny_model, tmp_path):
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), render_scene(3, size=(96, 64), seed=1).image)
    words = ("bench", tiny_model, tiny_model, "--runs", "2", "--threads", "1", "--image", path)
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"64x96, a frame, 2 runs each\nthe frame is {path}\n")
    facts = json.loads(run(*words, "--size", "96x128", "--json").stdout)
    assert facts["size"] == [96, 128]
    assert facts["models"][1]["difference"] == 0
    assert run("bench", tiny_model, "--image", tmp_path / "none.png").exit_code == 1


def test_frames_at_once(run, tiny_model):
    words = ("--backend", "onnxruntime", "--workers")
    facts = json.loads(run("bench", tiny_model, *words, "2", *FEW, "--json").stdout)
    assert facts["workers"] == 2
    assert facts["models"][0]["frames_per_second_at_once"] > 0
    assert run("bench", tiny_model, *words, "0", *FEW).exit_code == 2


def test_batches_are_timed_without_counting(run, tiny_model):
    (row,) = json.loads(run("bench", tiny_model, "--batch", "2", *FEW, "--json").stdout)["models"]
    assert row["count"] is row["difference"] is row["frames_per_second_at_once"] is None


def test_a_frame_smaller_than_any_scene(run, tiny_model):
    result = run("bench", tiny_model, "--size", "32x48", "--runs", "2", "--threads", "1")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("32x48, run at ")


def test_a_difference_that_rounds_to_nothing_has_no_minus(run, tiny_model):
    facts = json.loads(run("bench", tiny_model, tiny_model, *FEW, "--json").stdout)
    first, second = facts["models"]
    *_, line = text_lines([first, {**second, "difference": -4e-6}])
    assert "+0.00%" in line


def test_workers_have_no_use_where_the_engine_alone_is_timed(run, tiny_model):
    result = run("bench", tiny_model, "--batch", "2", "--workers", "2", *FEW)
    assert result.exit_code == 2
    assert "--batch 2 times the engine alone, and has no use for --workers" in result.stderr
    assert run("bench", tiny_model, "--batch", "1", "--workers", "2", *FEW).exit_code == 0
