"""Translate the options that the library's messages name into the command's flags.

The library names its options as Python knows them: at the head of a message (``batch: expected``),
or in backquotes, alone or with a value (```target=tensorrt```).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from edgecount.errors import EdgeCountError

# Options that are parts of a flag, or called otherwise.
_OTHERS = {
    "profile": "--input dynamic",
    "repository": "--triton",
    "shapes": "--input",
    "size": "--input",
}


def with_flags(message: str) -> str:
    """Return a message of the library with flags of the command that runs in place of options."""
    command = click.get_current_context().command
    flags = {str(option.name): option.opts[0] for option in command.params} | _OTHERS
    names = "|".join(flags)

    def flag(match: re.Match[str]) -> str:
        head, named, value = match.groups()
        return flags[head or named] + (f" {value}" if value else "")

    return re.sub(rf"^({names})(?=: )|`({names})(?:=([^`]+))?`", flag, message)


@contextmanager
def naming_flags() -> Iterator[None]:
    """Let errors of the library name flags."""
    try:
        yield
    except EdgeCountError as error:
        error.args = (with_flags(str(error)),)
        raise
