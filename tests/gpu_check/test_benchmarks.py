"""The benchmarks of the GPU, without one: on an emulation where there is an extension for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(
    command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) if environment is None else environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def benchmark(name: str) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks" / "gpu" / f"{name}.py")]


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("name", ["kernels", "pipeline"])
def test_the_benchmarks_without_a_gpu(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "EDGECOUNT_EXT"}
    done = run(benchmark(name), environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no GPU to measure: ")
    done = run([*benchmark(name), "--help"], environment)
    assert done.returncode == 0
    assert "--json FILE" in done.stdout


@pytest.mark.skipif("EDGECOUNT_EXT" not in os.environ, reason="EDGECOUNT_EXT names no extension")
@pytest.mark.parametrize(
    ("name", "arguments"), [("kernels", []), ("pipeline", ["--size", "64x64", "--frames", "2"])]
)
def test_the_benchmarks_write_what_the_report_shows(
    scripts: Any, tmp_path: Path, name: str, arguments: list[str]
) -> None:
    path = tmp_path / "numbers.json"
    done = run([*benchmark(name), *arguments, "--quick", "--json", str(path)])
    assert done.returncode == 0, done.stderr
    numbers, page = json.loads(path.read_text()), path.with_suffix(".md").read_text("utf-8")
    if name == "pipeline":
        assert {"preprocess", "share_of_engine"} <= numbers["frames"][0].keys()
        assert "| preprocess | infer | postprocess | total | fps | share of engine |" in page
        goals = scripts.goals.goals(None, numbers)
        shown = [goal for goal in goals if "stand-in), frames on the GPU" in goal.what]
        assert shown[0].measured.endswith(" ms")
        return
    kept = [(row["offset"], row["regions"]) for row in numbers["count"] if row["keep_density"]]
    assert set(kept) == {(False, 0), (True, 0), (True, 8)}
    assert "| share of copy | share of copies |" in page
    assert all(row["candidates"] > row["kept"] > 0 for row in numbers["boxes"])
    assert "| candidates | kept | µs | read µs | cpu µs |" in page
    assert "| upload µs | in place µs | torch µs | cpu µs | opencv µs |" in page
    times = {"one_map_waited_us", "three_empty_waited_us", "empty_in_graph_us"}
    assert times <= numbers["launch"].keys()
    measured = {goal.what: goal.measured for goal in scripts.goals.goals(numbers, None)}
    assert measured["one map of 270x480, from the call until it is counted, eager"][0].isdigit()


def test_numbers_are_kept_row_by_row(scripts: Any, tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    numbers = scripts.rows.Numbers(path, {"device": "a GPU"}, "About.")
    numbers.values("copy", "Copies", {"us": 30.0, "gigabytes_per_second": 2684.2})

    def measure(item: int) -> dict[str, Any]:
        if item == 1:
            raise scripts.rows.NotHereError("no 1 here")
        if item == 3:
            raise RuntimeError("a fault")
        return {"batch": item, "read_us": 1.25, "share_of_copy": 0.83, "none": None, "on": True}

    with pytest.raises(RuntimeError, match="a fault"):
        numbers.rows("count", "Counting", [0, 1, 2, 3, 4], measure)
    found = json.loads(path.read_text())
    assert (found["device"], [row["batch"] for row in found["count"]]) == ("a GPU", [0, 2])
    numbers.rows("count", "More", [1, 1, 5], measure)
    page = path.with_suffix(".md").read_text("utf-8")
    assert page.startswith("About.\n\n### Copies\n")
    assert "| GB/s | 2684 |" in page
    assert "| batch | read µs | share of copy | none | on |" in page
    assert page.endswith("| 2 | 1.25 | 83% | - | yes |\n| 5 | 1.25 | 83% | - | yes |\n")
    assert numbers.found["skipped"] == ["More, 2 times: no 1 here"]


def test_each_kernel_is_timed_by_its_plain_name(scripts: Any) -> None:
    """A trace as torch 2.13 writes it: kernels of two calls among other events, out of order."""
    name = "void edgecount::(anonymous namespace)::read_maps<{}>(edgecount::Plan, edgecount::Cells)"
    counted = "edgecount::(anonymous namespace)::count_images(edgecount::Plan, bool)"
    events = [
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "ts": 1.0, "dur": 9.0},
        {"ph": "X", "cat": "kernel", "name": counted, "ts": 14.5, "dur": 6.25},
        {"ph": "X", "cat": "kernel", "name": name.format(1), "ts": 10.0, "dur": 3.0},
        {"ph": "X", "cat": "kernel", "name": counted, "ts": 34.5, "dur": 6.75},
        {"ph": "X", "cat": "kernel", "name": name.format(1), "ts": 30.0, "dur": 4.0},
        {"ph": "i", "name": "Record Window End", "ts": 50.0},
    ]
    found = scripts.alone.kernel_us({"traceEvents": events}, 2)
    assert found == {"read_maps": 3.5, "count_images": 6.5}
    assert list(found) == ["read_maps", "count_images"]
    assert scripts.alone.kernel_us({"traceEvents": events}, 1) == {
        "read_maps": 7.0,
        "count_images": 13.0,
    }
    assert scripts.alone.plain_name("nothing") == "nothing"
