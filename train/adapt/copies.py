"""Pictures that are copies of others, by the numbers that copies get where names meet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edgecount.train.adapt.moments import moment_of

_COPY = re.compile(r"(.+?)(?:[ _-]| ?\()[1-9]\d?\)?")  # "door_2", "door 2", "door (2)"
_FRAME = re.compile(r"(.+?)(?:[ _-]| ?\()\d{3,}\)?")  # nobody has a hundred copies


def originals(paths: Sequence[Path]) -> list[Path]:
    """Return of each picture the path of the one that it is a copy of, else its own.

    A number makes a name that of a copy only where the name without it is there, too: in the same
    folder, or, of names with a time, in any. Where numbers go beyond 99 they are those of frames.
    The paths have no suffix.
    """
    known = {path.with_suffix("") for path in paths}
    framed = {path.with_name(found[1]) for path in known if (found := _FRAME.fullmatch(path.name))}
    known -= framed
    taken = {path.name: path for path in sorted(known, reverse=True) if moment_of(path.name)}

    def original(path: Path) -> Path:
        found = _COPY.fullmatch(path.name)
        if found is None:
            return path
        beside = path.with_name(found[1])
        first = beside if beside in known else taken.get(found[1])
        return path if first is None else original(first)

    return [original(path.with_suffix("")) for path in paths]
