"""Engines of the CPU in a process that was forked from the one that opened them."""

from __future__ import annotations

import gc
import importlib.util
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
from processes import run_code

from edgecount import EdgeCounter

OPENVINO = importlib.util.find_spec("openvino") is not None
ENGINES = [
    "onnxruntime",
    pytest.param("openvino", marks=pytest.mark.skipif(not OPENVINO, reason="not installed")),
]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

FORK = """if True:
    import gc, os, signal, sys, time
    import numpy as np
    from edgecount import EdgeCounter
    frame = np.zeros((64, 64, 3), np.uint8)
    def new():
        how = {"backend": sys.argv[2], "precision": "float32", "threads": 2}
        return EdgeCounter(sys.argv[1], **how)
    counter = new()
    counter.count_batch([frame] * 6)
    time.sleep(0.5)  # its threads sleep by then
    child = os.fork()
    if not child:
        signal.alarm(60)  # it would wait for ever
        exec(sys.argv[3])
        sys.exit(0)
    print(os.waitpid(child, 0)[1], counter.count(frame).count)
"""


@needs_fork
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "counter.close()",
        "counter = new(); gc.collect(); assert counter.count(frame).count == 0",
    ],
)
def test_a_child_leaves_the_engines_of_its_parent_alone(
    tiny_model: Path, engine: str, ending: str
) -> None:
    assert run_code(FORK, tiny_model, engine, ending) == (0, "0 0.0\n", "")


@needs_fork
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("call", ["counter.count(frame)", "counter.count_batch([frame] * 6)"])
def test_a_child_is_told_to_open_its_own(tiny_model: Path, engine: str, call: str) -> None:
    told = f"try: {call}\nexcept Exception as error: print(error, flush=True)"
    words = f"{engine} was opened before a fork: open a counter in the child\n0 0.0\n"
    assert run_code(FORK, tiny_model, engine, told) == (0, words, "")


@needs_fork
@pytest.mark.parametrize("call", ["counter.count_batch([frame] * 6)", "one.result()"])
def test_a_child_does_not_wait_for_threads_that_it_lacks(tiny_model: Path, call: str) -> None:
    """The fork comes while a thread counts a frame that fills the room, and opens lanes."""
    code = f"""if True:
    import os, signal, sys, threading
    import numpy as np
    from edgecount import EdgeCounter
    frame, large = np.zeros((64, 64, 3), np.uint8), np.zeros((1020, 1020, 3), np.uint8)
    begun, over = threading.Event(), threading.Event()
    class Slow(EdgeCounter):
        def refine(self, frame, result):
            begun.set()
            over.wait(60)
            return result
    counter = Slow(sys.argv[1], backend="onnxruntime", threads=2)
    thread = threading.Thread(target=counter.count_batch, args=([large],))
    thread.start()
    begun.wait(60)
    counter._pipeline._opening.acquire()
    child = os.fork()
    if not child:
        signal.alarm(60)  # it would wait for ever
        try:
            for one in counter.count_each([frame]):
                {call}
        except Exception as error:
            print(error, flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
    over.set()
    thread.join()
    """
    words = "onnxruntime was opened before a fork: open a counter in the child\n0\n"
    assert run_code(code, tiny_model) == (0, words, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_freed_with_the_last_reference_to_its_counter(
    tiny_model: Path, engine: str
) -> None:
    gc.disable()
    try:
        counter = EdgeCounter(tiny_model, backend=engine, precision="float32", threads=2)
        counter.count(np.zeros((64, 64, 3), np.uint8))
        held = weakref.ref(counter.backend)
        del counter
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_may_end_while_a_thread_opens_engines(tiny_model: Path, engine: str) -> None:
    code = """if True:
        import sys, threading, time
        from edgecount import EdgeCounter
        begun = threading.Event()
        def work():
            while True:
                how = {"backend": sys.argv[2], "precision": "float32", "threads": 2}
                EdgeCounter(sys.argv[1], **how).close()
                begun.set()
        threading.Thread(target=work, daemon=True).start()
        begun.wait(60)
        time.sleep(float(sys.argv[3]))
    """
    for wait in (0.0, 0.01, 0.02):
        assert run_code(code, tiny_model, engine, wait) == (0, "", "")
