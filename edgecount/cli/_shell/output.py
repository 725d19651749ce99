"""Output of commands: safe on every terminal, and an error where stdout takes nothing."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from edgecount._text import SURROGATES, valid_text
from edgecount.errors import OutputError

# Control characters, which would move the cursor or change colours, and marks that reverse text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPE = "edgecount.escape"  # our handler of what an encoding does not have


class RunOutputError(OutputError):
    """Nothing more can be written for any source: an error of the run, not of a source."""


class StdoutError(RunOutputError):
    """Stdout is closed, or the disk behind it is full."""


def printable(name: str) -> str:
    r"""Return a name for a line of text: control characters and undecodable bytes as ``\xNN``."""
    return _CONTROLS.sub(_escaped, valid_text(name))


def text_of(lines: Iterable[str]) -> str:
    """Return lines that may hold names as a text; see `printable`."""
    return "\n".join(printable(line) for line in lines)


def plural(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def to_json(value: Any, indent: int | None = None) -> str:
    r"""Return JSON that stdout can take: one line, unless it is indented.

    An undecodable byte of a name is given as the text ``\xNN``. Characters past ASCII stay as
    they are where stdout is UTF-8, and are escaped elsewhere.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    text = SURROGATES.sub(lambda match: json.dumps(valid_text(match[0]))[1:-1], text)
    if codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name == "utf-8":
        return text
    return json.dumps(json.loads(text), indent=indent)


def complain(message: str) -> None:
    """Print an error as one line on stderr."""
    click.echo(error_line(message), err=True)


def error_line(message: str) -> str:
    """Return the line that an error is printed as."""
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    return f"edgecount: error: {printable(line)}"


def write_line(line: str) -> None:
    """Print a line on stdout.

    Raises:
        StdoutError: stdout takes nothing.
        BrokenPipeError: its reader went away.
    """
    try:
        click.echo(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutError(_refusal(error)) from error


def stdout_error(error: OSError) -> StdoutError | None:
    """Return the error of stdout that an OSError is of; None if it is of something else."""
    *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
    printing = Path(frame.f_code.co_filename).parent == Path(click.__file__).parent
    return StdoutError(_refusal(error)) if printing else None


def silence_stdout() -> None:
    """Keep the interpreter from complaining once more when it flushes stdout at exit."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Let stdout and stderr take every character, the ones that they lack as escapes.

    Raises:
        SystemExit: stdout is closed.
    """
    if sys.stdout is None:
        complain("cannot write to stdout: it is closed; /dev/null takes what nobody reads")
        raise SystemExit(1)
    _fill_descriptors()
    codecs.register_error(_ESCAPE, _escape)
    streams = [one for one in (sys.stdout, sys.stderr) if isinstance(one, io.TextIOWrapper)]
    before = [one.errors for one in streams]
    for stream in streams:
        stream.reconfigure(errors=_ESCAPE)
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            with suppress(OSError, ValueError):  # it is flushed, which may fail
                stream.reconfigure(errors=errors)


def _fill_descriptors() -> None:
    """Open /dev/null in place of a closed stdin or stderr.

    Else the next file that is opened gets its number, and what a library prints lands in it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return valid_text(text).encode("ascii", "backslashreplace").decode(), error.end


def _refusal(error: OSError) -> str:
    return f"cannot write to stdout: {error.strerror}"
