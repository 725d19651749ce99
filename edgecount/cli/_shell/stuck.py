"""Ctrl-C and SIGTERM for calls into native code that do not return."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgecount.cli._shell.signals import PATIENCE, interrupt_raises

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 2.0  # s that a call which was asked to end may take to do so
_PERIOD = 0.05  # s
_CALLS = "edgecount.runtime.backends.calls"


@contextmanager
def end_stuck_calls() -> Iterator[None]:
    """End a run of a model that a signal finds in hand and that is so still, some seconds later.

    Python's handlers wait until native code returns, and a graph may hold a loop that never does.
    Where the command lets the frame in hand finish (`stop_on_interrupt`), it gets `PATIENCE` to do
    so; a second signal ends it at once. What cannot be ended is ended with the process.
    """
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    # Written by Python's handler in C, which does not wait.
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _watch(reader: int) -> None:
    while number := os.read(reader, 1):
        if not _ends(number[0]):
            continue
        patience = 0.0 if interrupt_raises() else PATIENCE
        stuck = _calls_in_hand()

        def returned(stuck: Any = stuck) -> bool:
            return not stuck or stuck.isdisjoint(_calls_in_hand())

        if _wait(reader, patience, returned):
            continue
        for call in stuck:
            call.end(KeyboardInterrupt())
        if not _wait(-1, _GRACE, returned):
            os._exit(128 + number[0])


def _ends(number: int) -> bool:
    """Return whether a signal is to end the process; a service may reload its config instead."""
    return number in _SIGNALS and getattr(signal.getsignal(number), "ends_process", True)


def _calls_in_hand() -> set[Any]:
    """Return the runs of models in hand: none before the module that knows them is imported."""
    # The main thread may be in the middle of that import: the module is there, its names are not.
    calls = getattr(sys.modules.get(_CALLS), "calls_in_hand", None)
    return calls() if calls else set()


def _wait(reader: int, seconds: float, returned: Callable[[], bool]) -> bool:
    """Return whether the calls return in time and before another signal, of which -1 has none."""
    end = time.monotonic() + seconds
    while not returned():
        left = end - time.monotonic()
        if left <= 0 or (reader >= 0 and _next_signal(reader)):
            return False
        time.sleep(_PERIOD)
    return True


def _next_signal(reader: int) -> bool:
    """Take what was written since; return whether it is a signal that stops."""
    if not select.select([reader], [], [], 0)[0]:
        return False
    return any(map(_ends, os.read(reader, 64)))
