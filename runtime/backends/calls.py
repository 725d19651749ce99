"""Calls into engines that can be ended from another thread.

A graph may run for hours or for ever: a Loop has no limit. Python's signal handlers wait until the
C++ in hand returns, so whoever stops a process needs another thread that asks the engine to stop.
ONNX Runtime and OpenVINO look for that between nodes, ONNX Runtime in the bodies of loops too.
Neither looks while it folds constants, nor ONNX Runtime in a loop without nodes, nor OpenVINO in
any loop: such calls are known here, and can only be ended with the process.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgecount.errors import ModelError

FIRST_RUN = 60.0  # s that the first run of a file may take: it is of few pixels
_PERIOD = 0.05  # s
_GRACE = 5.0  # s that a call which was asked to end may take to do so

_log = logging.getLogger(__name__)


class Call:
    """A call in hand.

    Args:
        stop: asks the engine to end it; None: it cannot be ended, as the opening of a model.
    """

    def __init__(self, stop: Callable[[], object] | None = None) -> None:
        self._stop = stop
        self.reason: BaseException | None = None

    def end(self, reason: BaseException) -> None:
        """Ask the call to end, and to raise ``reason`` in place of its own error."""
        self.reason = reason
        if self._stop is not None:
            self._stop()


_calls: set[Call] = set()


def calls_in_hand() -> set[Call]:
    """Return the calls that have not returned yet, of all threads."""
    return _calls.copy()


@contextmanager
def in_hand(stop: Callable[[], object] | None = None) -> Iterator[None]:
    """Make a call known; what it raises once it was asked to end is the reason for that."""
    call = Call(stop)
    _calls.add(call)
    try:
        yield
    except Exception:  # whatever the engine makes of being ended
        if call.reason is not None:
            raise call.reason from None
        raise
    finally:
        _calls.discard(call)


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """End the calls of a block that take longer, such as the first run of a file of others.

    Raises:
        ModelError: a call was ended; the message begins with ``what``.
    """
    before, done = calls_in_hand(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        why = f"{what} gave no result within {seconds:g} s: does the graph hold a loop that never"
        since = time.monotonic()
        while not done.wait(_PERIOD):
            for call in calls_in_hand() - before:
                call.end(ModelError(f"{why} ends?"))
            if time.monotonic() - since > _GRACE:
                _log.warning("%s ends? It does not stop by itself", why)
                since = math.inf

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
