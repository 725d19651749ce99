"""The programs that the steps of gpu_check run, within time limits. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from machine import Machine, with_path

ROOT = Path(__file__).resolve().parents[2]
_LEAST = 3.0  # seconds: with less left, a step is not begun
_GRACE = 5.0  # seconds in which a program may say how far it got, before it is killed
_TAIL = 120  # lines of a failed step's output that are kept


@dataclass
class Outcome:
    """The result of a step."""

    name: str
    status: str  # "passed", "failed" or "skipped"
    message: str = ""  # the result or the reason, on one line
    seconds: float = 0.0
    command: str = ""
    tail: str = ""  # the end of the output of a failed step
    skipped: list[str] = field(default_factory=list)  # what the step itself left out, and why
    timed_out: bool = False  # whether it was ended because it took too long


@dataclass
class Check:
    """The options of one run, and its folder."""

    machine: Machine
    work: Path  # for builds and numbers, and removed afterwards
    deadline: float  # by time.monotonic; nothing runs past it
    wheels: Path | None = None  # a folder of wheels to install beside the build
    build: bool = True  # else what is installed is checked
    quick: bool = False  # fewer maps, frames and shapes are measured
    model: str = "edgecount-s"  # whose frames are timed
    only: tuple[str, ...] = ()  # names of the steps to run; empty: all
    scale: float = 1.0  # factor of the steps' limits

    @property
    def site(self) -> Path:
        """Folder in which the build is installed."""
        return self.work / "site"

    @property
    def folders(self) -> list[str]:
        """Folders in front of Python's search path."""
        return [str(self.site)] if self.build or self.wheels else []

    def run(
        self,
        name: str,
        command: Sequence[str],
        limit: float,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> tuple[Outcome, str]:
        """Run a program with its children for a limited time; return the outcome and the output.

        Args:
            name: name of the step.
            command: the program and its arguments.
            limit: seconds, before they are scaled.
            env: variables beside this process's.
            folder: working folder; None: the work folder. Not the checkout, whose folder edgecount/
                would hide what is installed.
        """
        shown = self.shorten(shlex.join(command))
        start, wanted = time.monotonic(), limit * self.scale
        limit = min(wanted, self.deadline - start)
        if self.deadline - start < _LEAST:
            return Outcome(name, "skipped", "no time was left for it", command=shown), ""
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            # So it is in the background, and programs that are started inherit it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        log = self.work / "log.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                list(command),
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**with_path(self.folders), **(env or {})},
                cwd=folder or self.work,
                start_new_session=True,
            )
            code = wait(process, limit)
        output = self.shorten(log.read_text(errors="replace"))
        outcome = Outcome(name, "passed", seconds=time.monotonic() - start, command=shown)
        if code == 0:
            return outcome, output
        outcome.timed_out, outcome.status = code is None, "failed"
        outcome.message = f"not done after {limit:.0f} s" if code is None else f"exit code {code}"
        if code is None and limit < wanted:
            outcome.status = "skipped"
            outcome.message += ", when the time for everything was up"
        outcome.tail = "\n".join(output.rstrip().splitlines()[-_TAIL:])
        return outcome, output

    def shorten(self, text: str) -> str:
        """Return a text without the folders of this machine."""
        text = text.replace(self.machine.python[0], "python3")
        for folder, name in ((self.work, "WORK"), (ROOT, "."), (Path.home(), "~")):
            if folder != Path(folder.anchor):
                text = text.replace(str(folder), name)
        return text


def wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """Return the exit code; None if the program had to be ended, with all that it had begun."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            # First as Ctrl-C does, on which pytest sums up. One that hangs in the driver goes when
            # it can.
            for number in (signal.SIGINT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(_GRACE)
