"""Ctrl-C and SIGTERM while a model runs that never ends, sent to a process of its own."""

import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from graphs import endless_model


@pytest.fixture(autouse=True)
def interruptible():
    """Handle Ctrl-C, which children would ignore as their parent does in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start(tmp_path):
    """Start a command on a model that never ends, and wait until it runs it."""
    started = []

    def call(*words, nodes=True):
        path = tmp_path / "endless.onnx"
        path.write_bytes(endless_model(nodes=nodes).SerializeToString())
        code = (
            "import sys, threading, time\n"
            "from edgecount.cli import main\n"
            "from edgecount.runtime.backends.calls import calls_in_hand\n"
            "def tell():\n"
            "    since = time.monotonic()\n"
            "    while time.monotonic() - since < 1:\n"
            "        since = since if calls_in_hand() else time.monotonic()\n"
            "        time.sleep(0.05)\n"
            "    print('running', flush=True)\n"
            "threading.Thread(target=tell, daemon=True).start()\n"
            "main(sys.argv[1:])\n"
        )
        texts = [str(path) if word == "MODEL" else str(word) for word in words]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *texts],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "running\n"
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("nodes", [True, False])
def test_sigterm_ends_inspect(start, nodes):
    process = start("inspect", "MODEL", nodes=nodes)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said == ""


def test_ctrl_c_ends_export(start, tmp_path):
    process = start("export", "MODEL", "--out", tmp_path / "made")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (tmp_path / "made").exists()


def test_the_second_ctrl_c_ends_the_frame_in_hand(start, tmp_path):
    assert cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 99, np.uint8))
    process = start("count", tmp_path / "grey.png", "--model", "MODEL")
    began = time.monotonic()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 5  # s that the first alone would let the frame have
