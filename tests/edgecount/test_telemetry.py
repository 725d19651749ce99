"""Counting, exporting and inspecting report to nobody: ONNX Runtime's own reports are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

COUNT = """
import numpy as np
from edgecount import EdgeCounter
with EdgeCounter("edgecount-n", backend="onnxruntime") as counter:
    counter.count(np.zeros((64, 64, 3), np.uint8))
"""
INSPECT = "from edgecount.cli import main; main(['inspect', 'edgecount-n'])"


def environment(home: Path) -> dict[str, str]:
    # ONNX Runtime reports nothing where it sees a build server or a test, and that is not tried.
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    for name in ("CI", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", "TF_BUILD"):
        kept.pop(name, None)
    return kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.mark.parametrize("code", [COUNT, INSPECT], ids=["count", "inspect"])
def test_no_id_of_this_machine_is_kept(code: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), check=True, capture_output=True
    )

    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]


def test_who_has_set_the_variable_keeps_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecount._telemetry import refuse_reports

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    refuse_reports()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
