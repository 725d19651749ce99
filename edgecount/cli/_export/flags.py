"""Translate the options that the library's messages name into the command's flags.

The library names its options as Python knows them: at the head of a message (``batch: expected``),
or in backquotes, alone or with a value (```target=tensorrt```).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgecount.errors import EdgeCountError

__all__ = ["naming_flags", "with_flags"]

# Options that are parts of a flag, or called otherwise.
_OTHERS = {
    "profile": "--input dynamic",
    "repository": "--triton",
    "shapes": "--input",
    "size": "--input",
}


@functools.cache
def _flags() -> dict[str, str]:
    from edgecount.cli.export import export

    return {str(option.name): option.opts[0] for option in export.params} | _OTHERS


def with_flags(message: str) -> str:
    """Return a message of the library with flags in place of options."""
    names = "|".join(_flags())

    def flag(match: re.Match[str]) -> str:
        head, named, value = match.groups()
        return _flags()[head or named] + (f" {value}" if value else "")

    return re.sub(rf"^({names})(?=: )|`({names})(?:=([^`]+))?`", flag, message)


@contextmanager
def naming_flags() -> Iterator[None]:
    """Let errors of the library name flags."""
    try:
        yield
    except EdgeCountError as error:
        error.args = (with_flags(str(error)),)
        raise
