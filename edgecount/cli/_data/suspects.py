"""Print the annotations that `edgecount data check --model` finds probably wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgecount.cli._shell.flags import with_flags
from edgecount.cli._shell.output import plural

if TYPE_CHECKING:
    from edgecount.train.evaluate.annotation_errors import AnnotationErrors, Suspect

_SHOWN = 10
_MANY = 0.15  # of the images, and three at least: so many annotations are seldom wrong


def lines_of(found: AnnotationErrors) -> Iterator[str]:
    """Yield lines for people: the images whose annotation is probably wrong, and a caution.

    Before them how many could not be counted, if any, and why not the first.
    """
    number, of = len(found.suspects), plural(found.images, "image")
    if found.failed:
        yield _line_of_failed(found)
    if not found.images:
        return
    if not number:
        yield f"{found.model} finds no annotation of {of} that is probably incomplete or wrong"
    else:
        yield f"annotation probably incomplete or wrong, by {found.model} ({number} of {of})"
        yield from (f"    {_line_of(suspect)}" for suspect in found.suspects[:_SHOWN])
        if number > _SHOWN:
            yield f"    and {number - _SHOWN} more: --json lists all"
    if found.blind:
        yield (
            f"caution: {found.model} sees nobody near {found.unseen} of the {found.heads} "
            "annotated heads: it hardly suits these images"
        )
    elif number >= max(3, _MANY * found.images):
        yield (
            f"caution: so many annotations are seldom wrong: {found.model} may not suit these "
            "images, or they are annotated by another rule"
        )


def _line_of_failed(found: AnnotationErrors) -> str:
    first, number = found.failed[0], len(found.failed)
    name, reason = str(first.sample.path), with_flags(first.reason)
    reason = reason if name in reason else f"{name}: {reason}"
    of = plural(found.images + number, "image")
    return f"{number} of {of} could not be counted by {found.model}: {reason}"


def _line_of(suspect: Suspect) -> str:
    """Describe an image in a line: the numbers, and what speaks against its annotation."""
    counted = f"{suspect.sample.name}: {suspect.annotated} annotated, {suspect.count:.1f} counted"
    if suspect.interval:
        low, high = suspect.interval
        counted += f" (likely {low:.1f} to {high:.1f})"
    return "; ".join([counted, *_remarks(suspect)])


def _remarks(suspect: Suspect) -> Iterator[str]:
    if suspect.clear is None and suspect.unannotated >= 1:
        yield f"{suspect.unannotated:.0f} people by density where nobody is annotated"
    elif suspect.clear is not None and suspect.unannotated:
        found = plural(int(suspect.unannotated), "head")
        yield f"{found} found where none is annotated, {suspect.clear or 'none'} of them clear"
    if suspect.unseen:
        yield f"{plural(suspect.unseen, 'head')} annotated where the model sees nobody"
