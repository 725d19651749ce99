"""Processes that are forked from one that uses the GPU, where CUDA does not work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorrt_engines import Make

from edgecount import EdgeCounter, _ext
from edgecount.errors import EdgeCountError

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
]

WORDS = (
    'forked from one that uses the GPU, and CUDA does not work in it: start processes by "spawn"'
)


def in_fork(function: Callable[[], object]) -> str:
    """Return what a function gives or raises in a fork of this process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of a fork beside threads: the child uses none of them.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            answer = repr(function())
        except (RuntimeError, EdgeCountError) as error:
            answer = f"{type(error).__name__}: {error}"
        except BaseException as error:  # noqa: BLE001 (nothing of pytest may run in the child)
            answer = f"unexpected {error!r}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read().decode()
    os.waitpid(child, 0)
    return answer


def test_objects_of_the_parent_say_what_to_do() -> None:
    stream, event = _ext.Stream(), _ext.Event()
    event.record(stream)
    calls: list[Callable[[], object]] = [
        *(stream.synchronize, event.synchronize, _ext.Stream, _ext.Event),
        *(lambda: _ext.DeviceBuffer(64), lambda: _ext.PinnedBuffer(64)),
    ]
    for call in calls:
        answer = in_fork(call)
        assert answer.startswith("RuntimeError: CUDA device 0: this process was "), call
        assert WORDS in answer
    stream.synchronize()  # the parent's go on


def test_a_counter_of_the_parent_says_what_to_do(make: Make, squares: Any) -> None:
    frame = squares(96, 64, (16, 16), (64, 32))
    with EdgeCounter(make().path, backend="tensorrt-rtx") as counter:
        expected = counter.count(frame).count

        def count() -> object:
            with counter:  # closing it in the child is no error
                return counter.count(frame).count

        backend: Any = counter.backend
        for call in (count, backend.open_worker):
            answer = in_fork(call)
            assert answer.startswith("BackendError: ")
            assert WORDS in answer
        assert counter.count(frame).count == expected


def test_a_lock_that_a_thread_of_the_parent_holds_stops_no_fork() -> None:
    """Objects go in forks as well, where the thread that would give the lock back is not."""
    done = threading.Event()
    array = _ext.DeviceBuffer(16).array((16,), "uint8")
    others = [_ext.Stream() for _ in range(300)]

    def look_at_all_streams() -> None:
        while not done.is_set():
            _ext.device_array(array, _ext.Stream())

    def end() -> str:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # else a child that hangs would never end
        others.clear()
        try:
            _ext.Stream().synchronize()
        except RuntimeError as error:
            return str(error)
        return "no error"

    thread = threading.Thread(target=look_at_all_streams)
    thread.start()
    try:
        for _ in range(5):
            assert WORDS in in_fork(end)
    finally:
        done.set()
        thread.join()


def test_a_fork_may_be_the_first_that_uses_the_gpu() -> None:
    code = """
import os, sys
sys.path.insert(0, sys.argv[1])
import conftest
from edgecount import _ext
child = os.fork()
_ext.Stream().synchronize()
print("child" if child == 0 else os.waitpid(child, 0)[1], flush=True)
"""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["child", "0"], "")
