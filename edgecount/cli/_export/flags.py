"""Translate the options that the library's messages name into the command's flags.

The library names its options as Python knows them: at the head of a message (``batch: expected``),
or in backquotes, alone or with a value (```target=tensorrt```).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgecount.errors import EdgeCountError

__all__ = ["naming_flags", "with_flags"]

# Where an option is not called as its flag with underscores.
_FLAGS = {
    "compute_capabilities": "--compute-capability",
    "dla_core": "--dla",
    "fp16_gate": "--gate-fp16",
    "int8_gate": "--gate-int8",
    "number": "--images",
    "profile": "--input dynamic",
    "repository": "--triton",
    "shapes": "--input",
    "size": "--input",
}
_SAME = (
    *("batch", "calibration", "force", "fp16", "hardware_compatible", "int8", "manifest", "method"),
    *("opset", "out", "overwrite", "target", "threads", "timing_cache", "verify"),
    *("version_compatible", "workspace"),
)
_ALL = {name: f"--{name.replace('_', '-')}" for name in _SAME} | _FLAGS
_NAMES = "|".join(_ALL)
_OPTION = re.compile(rf"^({_NAMES})(?=: )|`({_NAMES})(?:=([^`]+))?`")


def with_flags(message: str) -> str:
    """Return a message of the library with flags in place of options."""

    def flag(match: re.Match[str]) -> str:
        head, named, value = match.groups()
        return _ALL[head or named] + (f" {value}" if value else "")

    return _OPTION.sub(flag, message)


@contextmanager
def naming_flags() -> Iterator[None]:
    """Let errors of the library name flags."""
    try:
        yield
    except EdgeCountError as error:
        error.args = (with_flags(str(error)),)
        raise
