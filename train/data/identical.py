"""Files with the same bytes, such as one picture under the names of two programs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

_START = 1 << 16  # bytes that tell most files of one size apart, as BMP has them


def first_of_each(paths: Sequence[Path]) -> list[int]:
    """Return of each file the index of the first one with the same bytes, its own mostly.

    Only files of one size are read, and whole only where their first bytes agree; one that cannot
    be read is like no other.
    """
    groups = [list(range(len(paths)))]
    tellers: tuple[Callable[[Path], object], ...] = (_size, _start, _whole)
    for tell in tellers:
        groups = [part for group in groups for part in _alike(group, paths, tell)]
    firsts = list(range(len(paths)))
    for group in groups:
        for index in group:
            firsts[index] = group[0]
    return firsts


def _alike(
    group: Iterable[int], paths: Sequence[Path], tell: Callable[[Path], object]
) -> list[list[int]]:
    """Return the parts of a group that are alike in something, of two and more."""
    parts: defaultdict[object, list[int]] = defaultdict(list)
    for index in group:
        with suppress(OSError):  # whoever needs the picture says why
            parts[tell(paths[index])].append(index)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(_START)).digest()


def _whole(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.sha256(file.read()).digest()
