"""TensorRT's messages, passed to Python's logging."""

from __future__ import annotations

import logging
import threading
import weakref
from types import ModuleType
from typing import Any

log = logging.getLogger(__name__)

# Each of TensorRT's warnings is one line of many, and its errors are raised with what they broke.
_LEVELS = {
    "INTERNAL_ERROR": logging.INFO,
    "ERROR": logging.INFO,
    "WARNING": logging.INFO,
    "INFO": logging.DEBUG,
    "VERBOSE": logging.DEBUG,
}
_KEPT = 50  # errors; an engine that fails on every frame must not fill the memory

_lock = threading.Lock()
_loggers: dict[str, Any] = {}
_open_logs: weakref.WeakSet[TensorRTLog] = weakref.WeakSet()


class TensorRTLog:
    """The errors that TensorRT has reported since this object was made.

    TensorRT uses the first logger that it is given for everything in the process, also for objects
    that are given another one later, and keeps its address. So there is one, which lives as long
    as the process does, and passes errors to all objects of this class.

    Attributes:
        logger: the logger to give to TensorRT.
        problems: the last errors, oldest first.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.problems: list[str] = []
        with _lock:
            _open_logs.add(self)
            # TensorRT and TensorRT for RTX are two libraries, each with a first logger of its own.
            if trt.__name__ not in _loggers:
                _loggers[trt.__name__] = _make_logger(trt)
        self.logger = _loggers[trt.__name__]


def last_errors(trt_log: TensorRTLog) -> str:
    """Return the last errors of a log, the only place where TensorRT gives its reasons."""
    return "; ".join(trt_log.problems[-3:]) or "it gave no reason"


def _make_logger(trt: ModuleType) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity.name in {"ERROR", "INTERNAL_ERROR"}:
                with _lock:
                    for one in _open_logs:
                        one.problems.append(msg.strip())
                        del one.problems[:-_KEPT]
            log.log(_LEVELS[severity.name], "%s", msg)

    return Logger()
