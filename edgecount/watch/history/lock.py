"""The lock of a history, so that two services do not write the same one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edgecount._lock import hold
from edgecount.errors import OutputError


class FileLock:
    """A lock that one process holds at a time, until it lets go of it or ends in any way.

    It is a file of its own beside the one that it stands for: SQLite's locks on that would be lost
    if anything else of this process opened and closed it.

    Args:
        path: the file that is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def take(self) -> None:
        """Take the lock, unless it is held already.

        Raises:
            OutputError: another process has it, or its file cannot be made.
        """
        if self._file >= 0:
            return
        name = self._path.with_name(self._path.name + ".lock")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(name, flags, 0o644)
        except OSError as error:
            raise OutputError(f"cannot write {name}: {error.strerror or error}") from error
        try:
            _lock(file, self._path)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def _lock(file: int, path: Path) -> None:
    try:
        without = hold(file)
    except BlockingIOError:
        owner = os.read(file, 20).decode("ascii", "replace").strip()
        raise OutputError(
            f"the history {path} is written by another process ({owner or 'unknown'}): end that "
            "one, or set history.path to another file"
        ) from None
    if without is not None:
        return
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
