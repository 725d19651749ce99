"""A lock on a run's folder: two trainings in one would write over each other's files."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecount.errors import OutputError

log = logging.getLogger(__name__)

NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder until the block ends, or the process does in whatever way.

    The system keeps the lock, not the file: one that a killed run left behind does not matter.
    Where the file system has no locks, as some of networks, a warning is logged.

    Args:
        folder: a folder that exists.

    Raises:
        OutputError: another training holds it, or nothing can be written to it.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise OutputError(f"cannot write to the folder {folder}: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        log.warning("%s cannot be locked here: start no second training in it", folder)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 200).decode("ascii", "replace").strip()
        who = f"process {owner}" if owner else "another process"
        raise OutputError(
            f"{who} is training in {folder}: wait for it, end it, or choose another folder"
        ) from None
    except OSError as error:
        log.warning(
            "%s cannot be locked (%s): start no second training in it", folder, error.strerror
        )
        return
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} on {platform.node()}\n".encode())
