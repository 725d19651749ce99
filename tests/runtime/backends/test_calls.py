"""Runs of graphs that never end, which another thread ends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from graphs import endless_model

from edgecount import EdgeCounter
from edgecount.errors import ModelError
from edgecount.runtime.backends.calls import Call, calls_in_hand, time_limit
from edgecount.runtime.backends.onnxruntime.calls import run_session

FRAME = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_model().SerializeToString())
    return path


def test_a_limit_ends_a_run_in_one_line(endless: Path) -> None:
    with (
        EdgeCounter(endless, threads=1) as counter,
        pytest.raises(ModelError, match=r"it gave no result within 0.2 s: does the graph hold"),
        time_limit(0.2, "it"),
    ):
        counter.count(FRAME)
    assert not calls_in_hand()


def test_another_thread_ends_a_run(endless: Path) -> None:
    session = onnxruntime.InferenceSession(str(endless), providers=["CPUExecutionProvider"])

    def end() -> None:
        while not calls_in_hand():
            pass
        for call in calls_in_hand():
            call.end(KeyboardInterrupt())

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_session(session, None, {"image": np.zeros((1, 3, 64, 64), np.float32)})
    thread.join()


def test_a_limit_leaves_what_is_quick_alone(tiny_model: Path) -> None:
    with time_limit(30, "it"), EdgeCounter(tiny_model, threads=1) as counter:
        assert counter.count(FRAME).count == 0
    Call().end(KeyboardInterrupt())  # a call that cannot be ended only takes note of the reason
