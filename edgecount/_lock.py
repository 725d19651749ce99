"""Locks on files, which end with the process that holds them."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgecount.errors import OutputError

_log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path, *, busy: str | None, second: str) -> Iterator[None]:
    """Hold a lock until the block ends, or the process does in whatever way.

    The system keeps the lock, not the file: one that a killed process left behind does not matter.
    Linux locks files on NFS for all machines. Where a file system has no locks, as some of networks
    and clouds, a warning is logged.

    Args:
        path: the lock's file; it is made if it is missing. Nobody may delete it but who holds it.
            Its folder exists.
        busy: what is said of another process that holds it, after who it is, such as "is training
            in DIR: wait for it"; None: it is waited for.
        second: what must not be done where nothing can be locked, for the warning.

    Raises:
        OutputError: another process holds it, or the file cannot be written.
    """
    descriptor = _hold(path, busy, second)
    try:
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def _hold(path: Path, busy: str | None, second: str) -> int:
    """Return the descriptor of the lock's file, locked as far as the file system has locks."""
    while True:
        descriptor = _open(path)
        try:
            is_locked = _lock(descriptor, path.parent, busy, second)
            # Who held it may have deleted it since it was opened here: this is the lock of nothing
            # then, and others have made a new file by now.
            if not is_locked or _is_at(descriptor, path):
                if is_locked:
                    _sign(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise OutputError(f"cannot write to the folder {path.parent}: {error.strerror}") from error


def hold(descriptor: int, *, wait: bool = False) -> str | None:
    """Lock an open file; return why it cannot be locked where there are no locks, else None.

    Args:
        descriptor: the file's.
        wait: whether to wait for a process that holds it.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        return "Windows has no such locks"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            raise
        owner = os.pread(descriptor, 200, 0).decode("ascii", "replace").strip()
        _log.info("waiting for %s", f"process {owner}" if owner else "another process")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:  # a file system without locks
        return str(error.strerror)
    return None


def _lock(descriptor: int, folder: Path, busy: str | None, second: str) -> bool:
    """Lock a file; returns False, after a warning, where that cannot be done."""
    try:
        reason = hold(descriptor, wait=busy is None)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode("ascii", "replace").strip()
        who = f"process {owner}" if owner else "another process"
        raise OutputError(f"{who} {busy}") from None
    if reason is not None:
        _log.warning("%s cannot be locked (%s): %s", folder, reason, second)
    return reason is None


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one that its path leads to."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int) -> None:
    """Write who holds the lock into its file."""
    with suppress(OSError):  # a full disk has room for no note, which only others' messages need
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} on {platform.node()}\n".encode())
