"""Programs that are measured, with the CPU time and memory that they take."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 60.0  # s for a program to start
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """The CPU time and memory that a process has used.

    Attributes:
        cpu: seconds of CPU time.
        memory: bytes that it has in memory.
    """

    cpu: float
    memory: int


def usage(pid: int) -> Usage:
    """Return what a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))


def find(program: str, package: str) -> str:
    """Return a program's path.

    Raises:
        SystemExit: it is not installed.
    """
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        raise SystemExit(f"{program} is not installed: apt install {package}")
    return found


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running(command: Iterable[str], log: Path, port: int | None = None) -> Iterator[int]:
    """Run a program whose output goes to a file; gives its process number.

    Args:
        command: program and arguments.
        log: the file.
        port: TCP port on which it listens once it has started.

    Raises:
        SystemExit: it does not start.
    """
    with log.open("wb") as output:
        process = subprocess.Popen([*command], stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + _PATIENCE
        while port is not None and not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{process.args} does not start: {log.read_text()[-500:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def machine() -> str:
    """Return the kind of this machine, and how busy it is."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), cpu)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores of an {cpu}, Python {platform.python_version()}, load {load:.1f}"
    )


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def table(*columns: str) -> None:
    """Print the head of a table."""
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


def row(*values: object) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(map(str, values)) + " |", flush=True)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
