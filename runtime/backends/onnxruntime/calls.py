"""Calls into ONNX Runtime that can be ended from another thread.

A graph may run for hours or for ever: a Loop has no limit. Python's signal handlers wait until the
C++ in hand returns, so whoever stops a process needs another thread that sets
`RunOptions.terminate`, which ONNX Runtime looks at before each node, in the bodies of loops too.
It does not look while it folds constants or runs a loop without nodes: such calls are known here,
and can only be ended with the process.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from edgecount.errors import ModelError

FIRST_RUN = 60.0  # s that the first run of a file may take: it is of few pixels
_PERIOD = 0.05  # s
_GRACE = 5.0  # s that a call which was asked to end may take to do so

_log = logging.getLogger(__name__)


class Call:
    """A call in hand.

    Args:
        options: its `RunOptions`; None: it cannot be ended, as the opening of a session.
    """

    def __init__(self, options: Any = None) -> None:
        self._options = options
        self.reason: BaseException | None = None

    def end(self, reason: BaseException) -> None:
        """Ask the call to end, and to raise ``reason`` in place of its own error."""
        self.reason = reason
        if self._options is not None:
            self._options.terminate = True


_calls: set[Call] = set()


def calls_in_hand() -> set[Call]:
    """Return the calls that have not returned yet, of all threads."""
    return _calls.copy()


@contextmanager
def in_hand(options: Any = None) -> Iterator[None]:
    """Make a call known; what it raises once it was asked to end is the reason for that."""
    call = Call(options)
    _calls.add(call)
    try:
        yield
    except Exception:  # whatever the engine makes of being ended
        if call.reason is not None:
            raise call.reason from None
        raise
    finally:
        _calls.discard(call)


def run_session(
    session: Any, outputs: Sequence[str] | None, inputs: Mapping[str, Any]
) -> list[Any]:
    """Return a session's outputs, as `InferenceSession.run` does; see `in_hand`."""
    from onnxruntime import RunOptions

    options = RunOptions()
    with in_hand(options):
        values: list[Any] = session.run(outputs, dict(inputs), options)
    return values


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
