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
    return [sys.executable, str(ROOT / "benchmarks" / f"gpu_{name}.py")]


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
    numbers, report = json.loads(path.read_text()), scripts.gpu_report
    if name == "pipeline":
        assert numbers["backends"]
        for row in numbers["backends"]:
            assert row["ways"][0].keys() == report.FRAMES.keys()
        assert list(report.pipeline_parts(numbers))
        return
    assert list(report.kernel_parts(numbers))
    kept = [(row["offset"], row["regions"]) for row in numbers["count"] if row["keep_density"]]
    assert set(kept) == {(False, 0), (True, 0), (True, 8)}
    for key, columns in {"count": report.COUNTING, "preprocess": report.PREPARING}.items():
        assert columns.keys() <= numbers[key][0].keys()
    assert scripts.gpu_goals.goals(numbers, None)
