"""The log of the service: lines for people, for the journal, or of JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Literal, TextIO, TypeAlias

from edgecount._text import utc_text, valid_text
from edgecount.runtime.sources.urls import shown_url

Format: TypeAlias = Literal["text", "json"]

_PACKAGE = "edgecount"
_CAMERA: ContextVar[str | None] = ContextVar("camera", default=None)
# Libraries that tell of each try, some with addresses that may be secret.
_QUIET = ("urllib3", "websockets", "asyncio", "paho")
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)  # of syslog


class LogFormatter(logging.Formatter):
    """Makes one line of each record, without passwords and secrets of addresses.

    A record's camera is its attribute ``camera``, or the first of its arguments where that is a
    camera's id, as in ``_log.warning("%s: no answer", camera)``, or the one of `log_of`, whose id
    its line then begins with.

    Args:
        form: "json", or "text".
        priority: whether text begins with the level as the journal takes it, and has no time.
        debug: whether text shows tracebacks; JSON always has them.
    """

    def __init__(self, form: Format = "text", *, priority: bool = False, debug: bool = False):
        super().__init__()
        self.cameras: Collection[str] = ()
        self._form, self._priority, self._debug = form, priority, debug

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        message = _message(record)
        told = _CAMERA.get()
        if told is not None and self._camera(record) == told and not message.startswith(f"{told}:"):
            message = f"{told}: {message}"
        message = shown_url(message)
        return self._json(record, message) if self._form == "json" else self._text(record, message)

    def _json(self, record: logging.LogRecord, message: str) -> str:
        fields: dict[str, Any] = {
            "time": utc_text(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        camera = self._camera(record)
        if camera is not None:
            fields["camera"] = camera
        fields["message"] = valid_text(message)
        trace = _trace(record)
        if trace:
            fields["exception"] = valid_text(trace)
        return json.dumps(fields)  # ASCII: no control character of a stream gets through

    def _text(self, record: logging.LogRecord, message: str) -> str:
        line = _one_line(message)
        trace = _trace(record)
        if trace:
            # Its last line says what it is; the rest, indented, is for who asked for it.
            line += " | " + _one_line(trace.splitlines()[-1])
            line += f" | {_one_line(trace)}" if self._debug else ""
        if self._priority:
            number = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
            return f"<{number}>{line}"
        moment = datetime.fromtimestamp(record.created).astimezone()
        return f"{moment:%Y-%m-%d %H:%M:%S} {record.levelname.lower():7} {line}"

    def _camera(self, record: logging.LogRecord) -> str | None:
        camera = getattr(record, "camera", None)
        if camera is None and isinstance(record.args, tuple) and record.args:
            first = record.args[0]
            camera = first if isinstance(first, str) and first in self.cameras else None
        camera = _CAMERA.get() if camera is None else camera
        return None if camera is None else str(camera)


class LogHandler(logging.Handler):
    """Writes records to a stream; a stream that takes nothing is no reason to stop.

    Args:
        stream: where to.
        formatter: what makes lines of records.
    """

    def __init__(self, stream: TextIO, formatter: LogFormatter) -> None:
        super().__init__()
        self.stream = stream
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 (a full disk, a terminal that is gone: the service goes on)
            return


@contextmanager
def log_of(camera: str) -> Iterator[None]:
    """Give records of this thread a camera's id: what analyses its pictures does not know it."""
    token = _CAMERA.set(camera)
    try:
        yield
    finally:
        _CAMERA.reset(token)


@contextmanager
def log_to(stream: TextIO, form: Format = "text") -> Iterator[LogFormatter]:
    """Write the log of this process to a stream, and leave logging as it was.

    The package's own records count from INFO on, or from the level that was set below it; of
    libraries those from WARNING on. What threads raise unexpectedly is in the log, too.

    Args:
        stream: where to, mostly stderr.
        form: "json", or "text".

    Yields:
        The formatter, which may be told the ids of the cameras.
    """
    package, root = logging.getLogger(_PACKAGE), logging.getLogger()
    level, handlers, propagate = package.level, package.handlers[:], package.propagate
    quiet = {name: logging.getLogger(name).level for name in _QUIET}
    hook = threading.excepthook
    package.setLevel(min(level or logging.INFO, logging.INFO))
    debug = package.level <= logging.DEBUG
    formatter = LogFormatter(form, priority=_is_journal(stream, os.environ), debug=debug)
    handler = LogHandler(stream, formatter)
    package.handlers[:] = []  # else there is each record twice
    package.propagate = True
    root.addHandler(handler)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    threading.excepthook = _log_uncaught
    try:
        yield formatter
    finally:
        threading.excepthook = hook
        for name, before in quiet.items():
            logging.getLogger(name).setLevel(before)
        root.removeHandler(handler)
        package.handlers[:] = handlers
        package.propagate = propagate
        package.setLevel(level)


def _log_uncaught(uncaught: threading.ExceptHookArgs) -> None:
    name = uncaught.thread.name if uncaught.thread else "a thread"
    error = uncaught.exc_value
    if isinstance(error, KeyboardInterrupt):
        return  # a second Ctrl-C has ended what did not end by itself
    logging.getLogger(_PACKAGE).error("%s ended by an error: %r", name, error, exc_info=error)


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether a stream goes to the journal of systemd."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (a library's mistake in a message)
        return str(record.msg)


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return shown_url("".join(traceback.format_exception(*record.exc_info)).strip())


def _one_line(text: str) -> str:
    """Return a text on one line, without what would move a terminal's cursor."""
    parts = (part.strip() for part in text.splitlines())
    line = " / ".join(part for part in parts if part)
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "replace").decode()
        for char in valid_text(line)
    )
