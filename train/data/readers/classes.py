"""Which of several classes of annotations are people."""

from __future__ import annotations

from collections.abc import Iterable


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
    for name in ("head", "person"):
        if name in used:
            return name
    raise ValueError(f"expected a {what} head or person, or a single one, got {_list(used)}")


def _list(names: set[str]) -> str:
    shown = sorted(names)[:8]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
