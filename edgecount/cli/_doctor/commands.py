"""Answers of other programs, which may be missing, crash or hang."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

# Importing an engine reads some hundred megabytes, which takes a while from an SD card.
SECONDS_TO_LOAD = 60.0


class Answer(NamedTuple):
    """The answer of a program.

    Attributes:
        ok: whether it ran and ended with exit code 0.
        text: the program's output, or the reason why there is none, on one line.
        crashed: whether a signal ended it.
    """

    ok: bool
    text: str
    crashed: bool = False


Ask: TypeAlias = Callable[..., Answer]
"""The type of `ask`, which tests replace."""


def ask(*command: str | Path, timeout: float = 5.0) -> Answer:
    """Run a program, for ``timeout`` seconds at most.

    A crash, a missing program and a hang are answers like others.
    """
    try:
        done = subprocess.run(  # noqa: S603 (programs that this package names)
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer within {timeout:.0f} seconds")
    except OSError as error:
        return Answer(False, error.strerror or str(error))
    if done.returncode == 0:
        return Answer(True, done.stdout.strip())
    lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
    if done.returncode < 0:
        return Answer(False, f"it was ended by signal {-done.returncode}", crashed=True)
    return Answer(False, lines[-1] if lines else f"exit code {done.returncode}")
