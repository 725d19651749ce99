"""The end of a program while a camera is being opened or read."""

from __future__ import annotations

import atexit
import ctypes
import os
import time
import weakref
from typing import Protocol

_JOIN = 1.0  # s that the end of the program waits for cameras


class Reader(Protocol):
    """A thread that reads a camera, as `Attempt` has one."""

    @property
    def is_running(self) -> bool:
        """Whether the thread is still there."""

    def abandon(self) -> None:
        """Have the thread end as soon as it can."""

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""


_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


def let_exit(reader: Reader) -> None:
    """Have a reader ended before the interpreter is, or else keep it from crashing the program."""
    _readers.add(reader)


@atexit.register
def _end_all() -> None:
    """End the threads that read cameras.

    One that waits for its camera inside of FFmpeg asks PyAV ten times a second whether to go on,
    which takes the interpreter's lock: a crash once there is none.
    """
    readers = [reader for reader in _readers if reader.is_running]
    for reader in readers:
        reader.abandon()
    deadline = time.monotonic() + _JOIN
    for reader in readers:
        reader.join(max(0.0, deadline - time.monotonic()))
    if any(reader.is_running for reader in readers):
        _skip_exit_handlers()


def _skip_exit_handlers() -> None:
    """Have the process end, with its exit code, as soon as the interpreter has.

    Destructors of C++ libraries take long enough for such a thread to ask. Only glibc can tell a
    handler the exit code.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "on_exit"):
        library.on_exit(ctypes.cast(library._exit, ctypes.c_void_p), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_readers.clear)  # a child has none of the threads
