"""A lock on a run's folder: two trainings in one would write over each other's files."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from edgecount import _lock

NAME = ".lock"


def locked(folder: Path) -> AbstractContextManager[None]:
    """Hold a run's folder until the block ends; see `edgecount._lock.locked`.

    Args:
        folder: a folder that exists.

    Raises:
        OutputError: another training holds it, or nothing can be written to it.
    """
    return _lock.locked(
        folder / NAME,
        busy=f"is training in {folder}: wait for it, end it, or choose another folder",
        second="start no second training in it",
    )
