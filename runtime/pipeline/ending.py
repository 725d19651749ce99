"""Counting while the interpreter ends.

Engines give up the interpreter's lock while they run. A daemon thread that asks for it again once
the interpreter ends is ended inside of the engine, up to Python 3.13 in a way that C++ answers with
an abort of the whole process. So the end waits for what is being counted, and nothing more begins.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# An engine that hangs must not keep the interpreter from ending.
LONGEST_WAIT = 10.0  # s


class _Work:
    """The calls that the interpreter's end waits for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._ending = False
        self._thread = threading.local()  # how many calls of the thread are inside each other

    def begin(self) -> None:
        """Note the beginning of a call; once the interpreter ends, a thread stops here for good."""
        depth = getattr(self._thread, "depth", 0)
        with self._changed:
            main = threading.current_thread() is threading.main_thread()
            stop = self._ending and depth == 0 and not main
            self._running += not stop
        if stop:
            threading.Event().wait()
        self._thread.depth = depth + 1

    def end(self) -> None:
        """Note the end of a call."""
        self._thread.depth -= 1
        with self._changed:
            self._running -= 1
            if self._ending:
                self._changed.notify_all()

    @property
    def is_ending(self) -> bool:
        """Whether the interpreter ends, and no call begins any more."""
        return self._ending

    def finish(self) -> None:
        """Let no call begin any more, and wait for those that run."""
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: self._running == 0, LONGEST_WAIT)


_work = _Work()


def _start_anew() -> None:
    """Forget the calls of other threads, which a fork leaves behind."""
    global _work  # noqa: PLW0603
    _work = _Work()


def _finish() -> None:
    _work.finish()  # of this process, after a fork too


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


def is_ending() -> bool:
    """Return whether the interpreter ends: a thread may then never go on with what it does next."""
    return _work.is_ending


def ends_before_the_interpreter(call: Callable[P, R]) -> Callable[P, R]:
    """Return a function that the end of the interpreter waits for."""

    @functools.wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        work = _work
        work.begin()
        try:
            return call(*args, **kwargs)
        finally:
            work.end()

    return wrapper
