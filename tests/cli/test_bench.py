"""The memory that `bench` tells of."""

import json
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_depend_on_the_order(tiny_model):
    """In a process of its own: here ONNX Runtime is loaded already."""
    words = ("bench", *[tiny_model] * 3, "--runs", "2", "--size", "96x128", "--threads", "1")
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
