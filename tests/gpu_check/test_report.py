"""The goals and the report of `scripts/gpu_check`, from made-up numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MAPS = "64 maps of 270x480, float32"
DATE = "2026-02-03"
COPIES = "of that and of the copy of 0.8 MB to the host"


def counted(**changes: Any) -> dict[str, Any]:
    row = {"batch": 64, "height": 270, "width": 480, "dtype": "float32", "regions": 0}
    row |= {"fusion": True, "listed": 1, "offset": False, "keep_density": False, "us": 30.0}
    return row | {"cold": True, "share_of_copy": 0.83, "share_of_copies": 0.84} | changes


def made_up_kernels() -> dict[str, Any]:
    compared = {"read_us": 40.0, "torch_read_us": 360.0, "eager_us": 32.0, "torch_eager_us": 300.0}
    compared |= {"graph_us": 30.0, "torch_graph_us": 180.0}
    launch = {"empty_waited_us": 6.5, "three_empty_waited_us": 12.0, "one_map_waited_us": 11.5}
    launch |= {"three_empty_graph_waited_us": 11.0, "one_map_graph_waited_us": 11.0}
    back = {"us": 60.0, "share_of_copy": 0.4, "share_of_copies": 0.7, "back_bytes": 789760}
    listed = counted(listed=1024, **back)
    return {
        "launch": launch,
        "count": [{**listed, "keep_density": True}, counted(), counted(regions=8), listed],
        "alone": [
            {
                "batch": 1,
                "height": 270,
                "width": 480,
                "dtype": "float32",
                "regions": 8,
                "read_maps_us": 3.25,
                "count_images_us": 6.5,
            }
        ],
        "torch": [counted(regions=8, fusion=False, **compared)],
    }


def made_up_pipeline(backend: str = "tensorrt") -> dict[str, Any]:
    row = {"backend": backend, "device": "cuda:0", "on_gpu": True, "engine": 1.0, "count": 70.1}
    steps = {"preprocess": 0.05, "infer": 1.0, "postprocess": 0.04, "total": 1.2, "fps": 833.0}
    one = {**row, "source": "frames on the GPU", **steps, "share_of_engine": 0.09}
    together = {**row, "source": "frames on the GPU, together", "total": 0.9, "fps": 1111.0}
    return {"model": "edgecount-s", "size": [720, 1280], "frames": [one, together]}


def verdicts(scripts: Any, kernels: Any, pipeline: Any) -> dict[str, str]:
    found = scripts.goals.goals(kernels, pipeline)
    return {goal.what: goal.verdict or goal.measured for goal in found}


def test_goals_that_are_met(scripts: Any) -> None:
    assert verdicts(scripts, made_up_kernels(), made_up_pipeline()) == {
        f"{MAPS}, counts alone": "met",
        f"{MAPS}, counts alone, 8 regions": "met",
        f"{MAPS}, with the list of peaks": f"40%, 60.0 µs; 70% {COPIES}",
        f"{MAPS}, as EdgeCounter has it, with list and density": f"40%, 60.0 µs; 70% {COPIES}",
        "count_images alone, 1 map of 270x480, float32, 8 regions": (
            "6.5 µs beside 3.2 µs of read_maps"
        ),
        f"{MAPS}, 8 regions, from the call until all is on the host, both eager": "met",
        f"{MAPS}, 8 regions, both as CUDA graphs": "6.0 times: 30.0 µs beside torch's 180.0 µs",
        f"{MAPS}, 8 regions, both eager, by the GPU's clock": (
            "9.4 times: 32.0 µs beside torch's 300.0 µs"
        ),
        "one map of 270x480, from the call until it is counted, eager": "met",
        "one map of 270x480, from the call until it is counted, as a CUDA graph": "met",
        "pre + post of edgecount-s at 1280x720, tensorrt, frames on the GPU": "met",
    }


def test_goals_that_are_missed(scripts: Any) -> None:
    kernels, pipeline = made_up_kernels(), made_up_pipeline()
    kernels["count"] = [counted(share_of_copy=0.79), counted(share_of_copy=0.6, regions=8)]
    del kernels["alone"]
    kernels["torch"][0]["torch_read_us"] = 7.9 * 40
    kernels["torch"][0]["torch_graph_us"] = None  # where torch cannot record its work
    kernels["launch"] |= {"one_map_waited_us": 12.1, "one_map_graph_waited_us": 11.1}
    pipeline["frames"][0]["share_of_engine"] = 0.21
    found = verdicts(scripts, kernels, pipeline)
    eager = found.pop(f"{MAPS}, 8 regions, both eager, by the GPU's clock")
    assert eager.startswith("9.4 times: ")
    assert set(found.values()) == {"missed"}


def test_what_was_not_measured_is_no_success(scripts: Any) -> None:
    assert set(verdicts(scripts, None, None).values()) == {"not measured"}
    found = verdicts(scripts, None, made_up_pipeline("torch (stand-in)"))
    assert found["pre + post of edgecount-s at 1280x720"] == "not measured"
    kernels = made_up_kernels()
    kernels["count"] = [counted(cold=False)]
    first = scripts.goals.goals(kernels, None)[0]
    assert (first.measured, first.met) == ("83%, 30.0 µs, partly from the cache", None)


def test_writes_what_it_is_given(scripts: Any, check: Any, tmp_path: Path) -> None:
    (tmp_path / "kernels.json").write_text(json.dumps(made_up_kernels()))
    (tmp_path / "kernels.md").write_text("## Counting\n\n| µs |\n| --- |\n| 30 |\n", "utf-8")
    (tmp_path / "pipeline.json").write_text(json.dumps(made_up_pipeline()))
    outcome = scripts.run.Outcome
    outcomes = [
        outcome("build", "passed", seconds=61.2),
        outcome("gpu", "failed", "1 failed, 2 passed", 5.0, "pytest", "E   assert 1 == 2"),
        outcome("memcheck", "skipped", "compute-sanitizer is not installed"),
        outcome("kernels", "passed", "measured", skipped=["no | torch", "no | torch"]),
    ]
    folder = tmp_path / "new" / "folder"
    data, text = scripts.report.write_report(check, outcomes, "scripts/gpu_check", DATE, folder)
    assert data.name == f"nvidia-test-gpu-{DATE}.json"
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["kernels"] == made_up_kernels()
    assert found["machine"]["gpu"]["capability"] == "8.7"
    assert (found["goals"][0]["met"], found["goals"][0]["verdict"]) == (True, "met")
    assert found["skipped"] == ["memcheck: compute-sanitizer is not installed", "no | torch"]
    page = text.read_text(encoding="utf-8")
    assert page.startswith(f"# NVIDIA Test GPU, {DATE}\n")
    assert "| GPU | NVIDIA Test GPU, compute capability 8.7, 8 GiB |" in page
    assert "| gpu | failed | 5 s | 1 failed, 2 passed |" in page
    assert "E   assert 1 == 2" in page
    assert "## Counting\n\n| µs |\n| --- |\n| 30 |\n\n## Skipped\n" in page
    assert "- no | torch" in page
    assert str(ROOT) not in page + data.read_text(encoding="utf-8")


def test_a_report_of_a_run_that_got_nowhere(scripts: Any, check: Any, tmp_path: Path) -> None:
    check.quick, check.only = True, ("gpu",)
    outcomes = [scripts.run.Outcome("build", "failed", "exit code 1", tail="no such flag")]
    command = "scripts/gpu_check --quick"
    data, text = scripts.report.write_report(check, outcomes, command, DATE, tmp_path)
    assert data.stem == f"nvidia-test-gpu-{DATE}-gpu-quick"
    assert "no such flag" in text.read_text(encoding="utf-8")
    assert text.read_text(encoding="utf-8").count("not measured") == 6
