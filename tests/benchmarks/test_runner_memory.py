"""`benchmarks/gpu/runner_memory.py` and the table of docs/jetson.md that comes from it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from edgecount.manifest import InputSpec, Manifest, OutputSpec

ROOT = Path(__file__).resolve().parents[2]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the repository is not at hand", allow_module_level=True)


def test_bytes_of_a_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks" / "gpu"), *sys.path])
    from runner_memory import buffer_bytes

    outputs = OutputSpec("people", "density", 8), OutputSpec("shift", "offset", 4)
    heads = OutputSpec("heads", "heatmap", 4)
    manifest = Manifest(
        name="small", version="1.0.0", description="None.", input=InputSpec(),
        outputs=(*outputs, heads), licence="none",
    )  # fmt: skip
    # 4 x 6 cells of stride 8 (and as many that come back), 8 x 12 of stride 4 with 2 + 1 channels
    maps = 4 * (24 + 24 + 96 * 3)
    assert buffer_bytes(manifest, (30, 40), (32, 48), 1) == {
        "frames": 3 * 30 * 40, "input": 4 * 3 * 32 * 48, "maps and results": maps,
    }  # fmt: skip
    shrunk = buffer_bytes(manifest, (60, 80), (32, 48), 2)
    assert shrunk["frames"] == 2 * 2 * 3 * 60 * 80
    assert shrunk["maps and results"] == 2 * maps


def test_the_page_has_what_was_computed() -> None:
    page = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
    results = sorted((ROOT / "benchmarks" / "results").glob("runner-memory-*.md"))
    computed = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in results[-1].read_text(encoding="utf-8").splitlines()
        if line.startswith("| edgecount")
    ]
    rows = re.findall(r"^\| (edgecount-\w) \| ([^|]+) \| (\d) \| (\d+) MB \|", page, re.MULTILINE)
    both = {(model, frames, batch): row[-1] for model, frames, batch, *row in computed}
    assert rows
    assert all(both[model, frames, batch] == megabytes for model, frames, batch, megabytes in rows)
