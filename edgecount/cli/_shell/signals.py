"""SIGTERM as another Ctrl-C: whatever Ctrl-C leaves tidy, `kill` and `docker stop` do too."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from edgecount.cli._shell.group import INTERRUPTED

TERMINATED = 143  # 128 + SIGTERM
# Whoever sends SIGTERM sends it once, and SIGKILL after ten seconds or more.
PATIENCE = 5.0  # s for what ends softly, such as the frame in hand; a camera may be stalled


class Termination:
    """Passes SIGTERM on to whoever handles Ctrl-C, while this context manager is open.

    Leaving it with the exit code of Ctrl-C becomes leaving with that of SIGTERM.

    Attributes:
        requested: whether there was one.
    """

    def __init__(self) -> None:
        self.requested = False
        self._process = os.getpid()
        self._before: Any = None
        self._before_alarm: Any = None

    def __enter__(self) -> Termination:
        before = signal.getsignal(signal.SIGTERM)
        # Who ignores it, or handles it in C, goes on doing so.
        if before in (None, signal.SIG_IGN):
            return self
        if threading.current_thread() is threading.main_thread():
            self._before = before
            signal.signal(signal.SIGTERM, self._pass_on)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before_alarm is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before_alarm)
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
        stopped = isinstance(error, KeyboardInterrupt) or (
            isinstance(error, SystemExit) and error.code == INTERRUPTED
        )
        if stopped:
            raise SystemExit(TERMINATED if self.requested else INTERRUPTED) from None

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        on_interrupt = signal.getsignal(signal.SIGINT)
        # A forked worker has this handler too, and none of its parent's work to tidy up. And a
        # build that was asked to stop leaves it to the next signal to end the process.
        if os.getpid() != self._process or on_interrupt is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        again, self.requested = self.requested, True
        if again or not callable(on_interrupt):
            # Shells start what runs in the background with SIGINT ignored.
            raise KeyboardInterrupt
        on_interrupt(signal.SIGINT, frame)
        # It was noted for later.
        self._before_alarm = signal.signal(signal.SIGALRM, _insist)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)


def _insist(_number: int, _frame: FrameType | None) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        return  # a build that ends by itself: raised within it, this would end the process
    raise KeyboardInterrupt
