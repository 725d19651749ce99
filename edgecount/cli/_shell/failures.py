"""The failure of one file among many: a line on stderr, and the others go on."""

from __future__ import annotations

import logging

from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import error_line, printable
from edgecount.cli._shell.progress import echo
from edgecount.errors import EdgeCountError

_log = logging.getLogger(__name__)


def report_failure(name: str, error: Exception) -> None:
    """Print why a file cannot be used, in one line that names it."""
    shown, reason = printable(name), _reason(error)
    named = reason.replace(name, shown) if name in reason else f"{shown}: {reason}"
    echo(error_line(named), err=True)
    _log.debug("%s", shown, exc_info=error)


def _reason(error: Exception) -> str:
    if isinstance(error, EdgeCountError):
        return with_flags(str(error))
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"{type(error).__name__}: {error}".removesuffix(": ")
