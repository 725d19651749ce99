"""Ctrl-C that lets imports and the frame in hand finish, SIGTERM and SIGHUP as other Ctrl-Cs."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_ENDS = (signal.SIGTERM, signal.SIGHUP)  # of `kill`, and of a terminal that is closed
# Whoever sends SIGTERM sends it once, and SIGKILL after ten seconds or more.
PATIENCE = 5.0  # s for what ends softly, such as the frame in hand; a camera may be stalled
_AGAIN = 0.02  # s until a Ctrl-C that came within an import is sent again


class Stop:
    """A request to stop the process.

    Attributes:
        requested: whether there was a signal; to be looked at between frames.
    """

    requested = False


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Turn the first Ctrl-C into a request; a second one interrupts at once.

    A KeyboardInterrupt in the middle of a write would leave half a line or half a video frame.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, _Requests(stop, before))
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Requests:
    """A handler of SIGINT that takes the first one as a request, and leaves others to the former.

    Attributes:
        is_noted: whether `interrupt_raises` was asked about the first one.
    """

    def __init__(self, stop: Stop, before: Any) -> None:
        self._stop, self._before = stop, before
        self.is_noted = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Request the stop, or do what was done before."""
        if not self._stop.requested:
            self._stop.requested = True
            return
        signal.signal(signal.SIGINT, self._before)
        if callable(self._before):
            self._before(number, frame)
        elif self._before is signal.SIG_DFL:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C exit with 130, for the time until a command runs: click would print "Aborted!"."""
    with _handle_interrupt(lambda: SystemExit(INTERRUPTED)):
        yield


@contextmanager
def raise_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt as Python does, but not within an import."""
    with _handle_interrupt(KeyboardInterrupt):
        yield


@contextmanager
def _handle_interrupt(error: Callable[[], BaseException]) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or not callable(before):  # ignored, or handled by a library in C
        yield
        return
    handler = _AfterImports(error)
    signal.signal(signal.SIGINT, handler)
    try:
        yield
        if handler.waits:  # the last import ended, and the signal has not come again yet
            raise error()
    finally:
        handler.end()
        signal.signal(signal.SIGINT, before)


class _AfterImports:
    """A handler of SIGINT that raises an error, and does so later if an import is under way.

    The C code of NumPy, OpenCV, ONNX Runtime and PyTorch takes whatever is raised while it loads
    for a failure of its own: a package that "is not installed", or a crash.

    Attributes:
        waits: whether a signal came that has had no effect yet.
    """

    def __init__(self, error: Callable[[], BaseException]) -> None:
        self._error = error
        self._first: float | None = None
        self.waits = self._done = False

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        """Raise the error, or have the signal sent again in a moment."""
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        # Not for ever: a module on a network's disk may never come.
        if not _imports(frame) or now > self._first + PATIENCE:
            self._first = None
            raise self._error()
        if not self.waits:
            self.waits = True
            # Not threading.Thread, whose locks the interrupted code may hold.
            _thread.start_new_thread(self._send_again, ())

    def end(self) -> None:
        """Send no more signals; another handler follows."""
        self._done = True

    def _send_again(self) -> None:
        time.sleep(_AGAIN)
        main = threading.main_thread().ident
        if main is not None and not self._done:
            self.waits = False
            signal.pthread_kill(main, signal.SIGINT)


def interrupt_raises() -> bool:
    """Return whether a Ctrl-C raises an error as soon as Python runs, and is not put off.

    To be asked once for each: the handler may have run by then, and take the next one otherwise.
    """
    handler = signal.getsignal(signal.SIGINT)
    if isinstance(handler, _Requests):
        first, handler.is_noted = not handler.is_noted, True
        return not first
    return handler is signal.default_int_handler or isinstance(handler, _AfterImports)


def _imports(frame: FrameType | None) -> bool:
    """Return whether a stack has an import in it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def interrupt_on_sigterm() -> Iterator[Stop]:
    """Let SIGTERM do what Ctrl-C does: what that leaves tidy, `kill` and `docker stop` do too.

    So does SIGHUP, of a terminal that is closed or a connection that is lost. One of them that is
    ignored, as after `nohup`, or handled by a library in C, stays so. To leave this context by
    Ctrl-C is to exit with 130, with 143 if it was SIGTERM, and with 129 if it was SIGHUP.
    """
    stop, process, came = Stop(), os.getpid(), signal.SIGTERM

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        on_interrupt = signal.getsignal(signal.SIGINT)
        # A forked worker has this handler too, and none of its parent's work to tidy up. And an
        # engine's build that was asked to stop leaves it to the next signal to end the process.
        if os.getpid() != process or on_interrupt is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            return
        again, stop.requested, came = stop.requested, True, signal.Signals(number)
        if again or not callable(on_interrupt):
            raise KeyboardInterrupt  # shells start what runs in the background with it ignored
        # Called, not sent as a signal: only if it returns has it put the stop off until later.
        on_interrupt(signal.SIGINT, frame)
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _insist)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    before: dict[int, Any] = {}
    in_main_thread = threading.current_thread() is threading.main_thread()
    for number in _ENDS if in_main_thread else ():
        if signal.getsignal(number) not in (None, signal.SIG_IGN):
            before[number] = signal.signal(number, interrupt)
    try:
        yield stop
    except (KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code != INTERRUPTED:
            raise
        raise SystemExit(128 + came if stop.requested else INTERRUPTED) from None
    finally:
        if signal.SIGALRM in before:  # else a timer that runs is the caller's
            signal.setitimer(signal.ITIMER_REAL, 0)
        for restored, handler in before.items():
            signal.signal(restored, handler)


def _insist(_number: int, _frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        raise KeyboardInterrupt  # raised within a build, it would end the process
