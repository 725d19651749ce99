"""Monitor a build of TensorRT, and cancel it on Ctrl-C.

An exception that leaves one of these ends the process, since TensorRT's C++ lets none through. So
Ctrl-C and errors of the caller are kept, the build is cancelled, and they are raised afterwards.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, ModuleType
from typing import Any

from edgecount.export.progress import Progress

log = logging.getLogger(__name__)


class Interrupt:
    """Ctrl-C as a request; a context manager that raises the KeyboardInterrupt when it is left.

    A second Ctrl-C ends the process at once, because TensorRT 8 cannot be asked to stop.

    Attributes:
        requested: whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.requested:
            raise KeyboardInterrupt from None

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        log.warning("stopping the build; Ctrl-C again ends it at once")
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def make_monitor(trt: ModuleType, progress: Progress | None, interrupt: Interrupt) -> Any:
    """Return a monitor that reports progress and cancels the build on Ctrl-C.

    An exception of the progress function cancels it, too, and is kept in `failure`.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.failure: BaseException | None = None
            self._totals: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            del parent_phase
            self._totals[phase_name] = num_steps
            self._report(phase_name, 0)

        def phase_finish(self, phase_name: str) -> None:
            self._report(phase_name, self._totals[phase_name])

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._report(phase_name, step + 1)
            return self.failure is None and not interrupt.requested

        def _report(self, phase: str, done: int) -> None:
            if progress is None or self.failure is not None:
                return
            try:
                progress(phase, done, self._totals[phase])
            except BaseException as error:  # noqa: BLE001 (it must not reach TensorRT)
                self.failure = error

    return Monitor()
