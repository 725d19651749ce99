"""The end of streams and batches, of the counter and of the program, with frames in hand."""

from __future__ import annotations

import _thread
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lanes_engine import LANES, Engine, lanes, picture, pictures

from edgecount import BackendError, EdgeCounter


def test_leaving_a_stream_early_ends_the_lanes(counter: EdgeCounter, folder: Path) -> None:
    for results in (
        counter.stream(folder),
        counter.count_each(sorted(folder.iterdir())),
        counter.stream_many([folder, folder]),
    ):
        next(results)
        next(results)
        results.close()
        assert not lanes()
    assert counter.count(picture(2)).count == 2


def test_closing_from_another_thread_ends_a_stream(
    tiny_model: Path, folder: Path, wait_for: Any
) -> None:
    engine = Engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    gate = threading.Event()

    def before(value: int) -> None:
        if value > 2:
            gate.wait(60)

    engine.before = before
    found: list[float] = []
    errors: list[BaseException] = []

    def consume() -> None:
        try:
            found.extend(one.count for one in counter.stream(folder))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    wait_for(lambda: engine._inside == LANES)  # all lanes have a frame
    counter.close()
    gate.set()
    thread.join(60)
    assert found[:3] == [0, 1, 2]
    (error,) = errors
    assert isinstance(error, BackendError)
    assert "the counter is closed" in str(error)


def test_a_batch_that_was_begun_is_counted_to_its_end(tiny_model: Path) -> None:
    closed: list[int] = []

    class Closing(Engine):
        def close(self) -> None:
            closed.append(self._inside)

    engine = Closing()
    counter = EdgeCounter(tiny_model, backend=engine)
    counter._owns_backend = True
    engine.before = lambda value: counter.close() if value == 2 else None
    assert [one.count for one in counter.count_batch(pictures())] == list(range(8))
    assert closed == [0]


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_end_when_the_counter_is_closed(tiny_model: Path, workers: int) -> None:
    counter = EdgeCounter(tiny_model, backend=Engine(), workers=workers)
    outcomes = counter.count_each(pictures())
    assert next(outcomes).result().count == 0
    counter.close()
    with pytest.raises(BackendError, match="the counter is closed"):
        list(outcomes)
    with pytest.raises(BackendError, match="the counter is closed"):
        next(counter.count_each(pictures()))


def test_a_stream_that_is_left_holds_no_engine(tiny_model: Path, folder: Path) -> None:
    engine = Engine()
    counter = EdgeCounter(tiny_model, backend=engine)
    results = counter.stream(folder)
    next(results)
    counter.close()
    with pytest.raises(BackendError, match="closed"):
        list(results)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C interrupt: programs that are started in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_ctrl_c_comes_through(counter: EdgeCounter, engine: Engine, folder: Path) -> None:
    engine.before = lambda value: _thread.interrupt_main() if value == 3 else None
    for call in (lambda: list(counter.stream(folder)), lambda: counter.count_batch(pictures())):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert not lanes()
    engine.before = lambda _value: None
    assert len(counter.count_batch(pictures())) == 8


@pytest.mark.parametrize(
    "ending",
    [
        "next(counter.stream(folder))",  # collected
        "left = counter.stream(folder); next(left)",  # left as it is
        "watching = counter.watch(folder, lambda result: None); begun.wait(60)",  # in a daemon
        "start(counter.count_batch, os.scandir(folder)); begun.wait(60)",
        "left = counter.stream(folder); next(left); os.fork() and os.wait()",
    ],
)
def test_a_program_may_end_while_frames_are_counted(folder: Path, ending: str) -> None:
    code = f"""
import os, sys, threading, time
from edgecount import EdgeCounter, FakeBackend
begun = threading.Event()
class Slow(FakeBackend):
    lanes = 3
    def infer(self, inputs):
        begun.set()
        time.sleep(0.05)
        return super().infer(inputs)
def start(*call):
    threading.Thread(target=call[0], args=call[1:], daemon=True).start()
folder = sys.argv[1]
counter = EdgeCounter(backend=Slow())
{ending}
"""
    command = [sys.executable, "-W", "error", "-W", "ignore:.*fork", "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
