"""Which of several classes of annotations are people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

NONE_COUNTS = "annotations, none of them of the class that counts (head, else person)"
_COUNTED = ("head", "person")  # the first of them that there is
# Names that say themselves that people are counted.
_PEOPLE = frozenset(
    ("head", "heads", "person", "persons", "people", "human", "humans", "pedestrian", "pedestrians")
)
_UNNAMED = frozenset(("", "none", "no name"))


def counted_class(names: Iterable[str], what: str = "class") -> str | None:
    """Return the class that is counted: head, else person; None where there is one at most.

    Args:
        names: lower-case names of the classes that occur in a set.
        what: what the format calls a class.

    Raises:
        ValueError: there are several, and none of these.
    """
    used = set(names)
    if len(used) <= 1:
        return None
    for name in _COUNTED:
        if name in used:
            return name
    raise ValueError(f"expected a {what} head or person, or a single one, got {_list(used)}")


def counted_of_named(
    named: Collection[str], used: Collection[str], what: str = "class"
) -> str | None:
    """Return the class that is counted of a format that names its classes; None: all that occur.

    The names decide: where person is one of them and cars alone are annotated, nobody is there.

    Args:
        named: lower-case names of the classes, whether they occur or not.
        used: names of those that occur, which decide where none is called head or person.
        what: what the format calls a class.

    Raises:
        ValueError: several occur, and none of the names is head or person.
    """
    found = (name for name in _COUNTED if name in named)
    return next(found, None) or counted_class(used, what)


def note_on_single(counted: Mapping[str, int]) -> str:
    """Say what counts as people where all is of one class whose name does not; empty: nothing.

    Args:
        counted: annotations that are counted, by class. A number is the class's own, not a name.
    """
    if len(counted) != 1:
        return ""
    (name,) = counted
    if name in _PEOPLE or name in _UNNAMED or name.isdecimal():
        return ""
    return f"annotations, all of class {name}, which counts as people"


def _list(names: set[str]) -> str:
    shown = sorted(names)[:8]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
