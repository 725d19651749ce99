"""Daemon threads that count while the interpreter ends."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from edgecount.runtime.pipeline.ending import _Work

KERNELS = """
import threading, time
import numpy as np
from edgecount import _ext

heatmap = np.random.default_rng(0).random((1, 400, 400), dtype=np.float32)
image, out = np.zeros((480, 640, 3), np.uint8), np.zeros((3, 480, 640), np.float32)

def work():
    while True:
        _ext.count_maps(heatmap, density=heatmap)
        _ext.preprocess(image, out, 480, 640, 480, 640, (0, 0, 0), (1, 1, 1), False, 0.0)
"""
COUNTER = """
import threading, time
import numpy as np
from edgecount import EdgeCounter

counter = EdgeCounter("edgecount-n", threads=1)

def work():
    while True:
        counter.count(np.zeros((64, 64, 3), np.uint8))
"""
END = """
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
"""


@pytest.mark.parametrize("program", [KERNELS, COUNTER])
def test_the_process_ends_in_order(program: str) -> None:
    if program is COUNTER:
        pytest.importorskip("onnxruntime")
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program + END],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_end_waits_for_what_runs_and_nothing_more_begins() -> None:
    work = _Work()
    began, go_on, inside = threading.Event(), threading.Event(), threading.Event()

    def count() -> None:
        work.begin()
        began.set()
        go_on.wait()
        work.begin()  # of a call inside the first one
        work.end()
        inside.set()
        work.end()
        work.begin()
        pytest.fail("a call began after the end")

    threading.Thread(target=count, daemon=True).start()
    began.wait()
    ending = threading.Thread(target=work.finish)
    ending.start()
    ending.join(0.05)
    assert ending.is_alive()
    go_on.set()
    ending.join(5)
    assert not ending.is_alive()
    assert inside.is_set()
