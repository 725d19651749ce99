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
def locked(path: Path, *, busy: str, second: str) -> Iterator[None]:
    """Hold a lock until the block ends, or the process does in whatever way.

    The system keeps the lock, not the file: one that a killed process left behind does not matter.
    Linux locks files on NFS for all machines. Where a file system has no locks, as some of networks
    and clouds, a warning is logged.

    Args:
        path: the lock's file; it is made if it is missing, and never deleted. Its folder exists.
        busy: what is said of another process that holds it, after who it is, such as "is training
            in DIR: wait for it".
        second: what must not be done where nothing can be locked, for the warning.

    Raises:
        OutputError: another process holds it, or the file cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise OutputError(f"cannot write to the folder {path.parent}: {error.strerror}") from error
    try:
        _lock(descriptor, path.parent, busy, second)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def _lock(descriptor: int, folder: Path, busy: str, second: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        _log.warning("%s cannot be locked here: %s", folder, second)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode("ascii", "replace").strip()
        who = f"process {owner}" if owner else "another process"
        raise OutputError(f"{who} {busy}") from None
    except OSError as error:
        _log.warning("%s cannot be locked (%s): %s", folder, error.strerror, second)
        return
    with suppress(OSError):  # a full disk has room for no note, which only others' messages need
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} on {platform.node()}\n".encode())
