"""Files with the same bytes, such as one picture under the names of two programs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def first_of_each(paths: Sequence[Path]) -> list[int]:
    """Return of each file the index of the first one with the same bytes, its own mostly.

    Only files of one size are read; one that cannot be is like no other.
    """
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    firsts = list(range(len(paths)))
    for index, path in enumerate(paths):
        with suppress(OSError):  # whoever needs the picture says why
            by_size[path.stat().st_size].append(index)
    for alike in by_size.values():
        found: dict[bytes, int] = {}
        for index in alike if len(alike) > 1 else ():
            with suppress(OSError):
                digest = hashlib.sha256(paths[index].read_bytes()).digest()
                firsts[index] = found.setdefault(digest, index)
    return firsts
