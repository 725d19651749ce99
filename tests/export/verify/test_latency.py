"""The latencies of an export: fast files often, slow ones less, and never in silence."""

import onnx
import pytest
from graphs import small_model

from edgecount.export.verify import latency
from edgecount.export.verify.latency import RUNS, WARM_UP, TimedRun, measure_files


@pytest.mark.parametrize(("seconds", "runs"), [(1e9, RUNS), (0.0, latency._MIN_RUNS)])
def test_fewer_runs_of_slow_files(tmp_path, monkeypatch, seconds, runs):
    monkeypatch.setattr(latency, "SECONDS", seconds)
    names = ["model.onnx", "model.int8-cpu.onnx"]
    for name in names:
        onnx.save(small_model(), tmp_path / name)
    steps = []
    timed = [TimedRun(name, "onnxruntime", "") for name in names]
    found = measure_files(tmp_path, timed, (64, 96), 1, lambda *step: steps.append(step))
    assert list(found) == timed
    assert all(times["p50"] > 0 and times["p99"] >= times["p50"] for times in found.values())
    total = runs + (WARM_UP if runs == RUNS else 1)
    assert steps[0] == ("trying how long a frame takes", 0, 1)
    assert steps[-1] == ("measuring how fast it is", total, total)
