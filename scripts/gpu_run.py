"""A program that gpu_check runs within a time limit, and what came of it. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpu_machine import Machine, with_path

ROOT = Path(__file__).resolve().parent.parent
_LEAST = 3.0  # seconds: with less left, a step is not begun
_GRACE = 5.0  # seconds in which a program may say how far it got, before it is killed
_TAIL = 120  # lines of a failed step's output that are kept


@dataclass
class Outcome:
    """What came of a step.

    Attributes:
        name: of the step.
        status: "passed", "failed" or "skipped".
        said: the result or the reason, on one line.
        seconds: how long it took.
        command: what was run.
        tail: the end of the output of a failed step.
        skipped: what the step itself left out, and why.
        timed_out: whether it was ended because it took too long.
    """

    name: str
    status: str
    said: str = ""
    seconds: float = 0.0
    command: str = ""
    tail: str = ""
    skipped: list[str] = field(default_factory=list)
    timed_out: bool = False


@dataclass
class Check:
    """What is to be done, and where.

    Attributes:
        machine: what there is.
        work: a folder for builds and numbers, which is removed afterwards.
        deadline: by time.monotonic; nothing runs past it.
        wheels: a folder of wheels to install beside the build.
        build: whether to build; else what is installed is checked.
        quick: fewer maps, frames and shapes.
        model: whose way through the GPU is measured.
        only: names of the steps to run; empty: all.
        scale: of the steps' limits.
    """

    machine: Machine
    work: Path
    deadline: float
    wheels: Path | None = None
    build: bool = True
    quick: bool = False
    model: str = "edgecount-s"
    only: tuple[str, ...] = ()
    scale: float = 1.0

    @property
    def site(self) -> Path:
        """Where the build is installed."""
        return self.work / "site"

    @property
    def folders(self) -> list[str]:
        """In front of Python's search path."""
        return [str(self.site)] if self.build or self.wheels else []

    def run(
        self,
        name: str,
        command: Sequence[str],
        limit: float,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> tuple[Outcome, str]:
        """Run a program in a folder, by default the work folder, with its children at most so long.

        Not in the checkout itself, whose folder edgecount/ would hide what is installed. Its
        outcome and its output.
        """
        shown = self.shorten(shlex.join(command))
        left = self.deadline - time.monotonic()
        if left < _LEAST:
            return Outcome(name, "skipped", "no time was left for it", command=shown), ""
        wanted = limit * self.scale
        limit = min(wanted, left)
        log = self.work / "log.txt"
        start = time.monotonic()
        with log.open("wb") as file, interruptible():
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
        outcome.timed_out = code is None
        outcome.status = "skipped" if outcome.timed_out and limit < wanted else "failed"
        outcome.said = f"not done after {limit:.0f} s" if code is None else f"exit code {code}"
        if outcome.status == "skipped":
            outcome.said += ", when the time for everything was up"
        outcome.tail = "\n".join(output.rstrip().splitlines()[-_TAIL:])
        return outcome, output

    def shorten(self, text: str) -> str:
        """Without the folders of this machine."""
        text = text.replace(self.machine.python[0], "python3")
        for folder, name in ((self.work, "WORK"), (ROOT, "."), (Path.home(), "~")):
            if folder != Path(folder.anchor):
                text = text.replace(str(folder), name)
        return text


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A program that ignores SIGINT, as one in the background may, begins others that do."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit code; None if the program had to be ended, with all that it had begun."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        end(process)
        return None
    except BaseException:
        end(process)
        raise


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: first as Ctrl-C does, on which pytest sums up."""
    signal_group(process, signal.SIGINT)
    until = time.monotonic() + _GRACE
    # Not waited for by its Popen, so that its number stays its own until all are killed.
    exited = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while time.monotonic() < until and os.waitid(os.P_PID, process.pid, exited) is None:
        time.sleep(0.05)
    signal_group(process, signal.SIGKILL)
    # One that hangs in the driver goes when it can.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a program and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
