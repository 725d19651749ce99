"""A file beside the CSV for pictures that are begun, which no reader of annotations takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from edgecount._documents import unique_keys
from edgecount._files import replacing, require_regular
from edgecount.errors import OutputError, SourceError
from edgecount.label.labels import Labels, State

_FORM = "edgecount label drafts 1"


def drafts_of(table: Path) -> Path:
    """Return the file of the drafts; not a .json, for which a reader of COCO would take it."""
    return table.with_name(f"{table.name}.drafts")


def read_drafts(path: Path) -> dict[str, Labels]:
    """Return the pictures that are begun, by their paths relative to the CSV's folder.

    Raises:
        SourceError: the file cannot be read, or is another one.
    """
    require_regular(path, SourceError)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    try:
        return _parse(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(
            f"{path} is no file of drafts ({error}): mend it, or move it away to begin anew"
        ) from error


def write_drafts(path: Path, pictures: Mapping[str, Labels]) -> None:
    """Write the pictures that are begun; without one there is no file.

    Raises:
        OutputError: the file cannot be written.
    """
    if not pictures:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror}") from error
        return
    rows = {name: _row(pictures[name]) for name in sorted(pictures)}
    text = json.dumps({"form": _FORM, "pictures": rows}, separators=(",", ":"))
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def _parse(text: str) -> dict[str, Labels]:
    given = json.loads(text, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    if given["form"] != _FORM:
        raise ValueError(f"expected {_FORM!r}, got {given['form']!r}")
    return {name: _read(one) for name, one in given["pictures"].items()}


def _row(labels: Labels) -> dict[str, Any]:
    return {"state": labels.state, "points": labels.points, "size": labels.size}


def _read(given: Any) -> Labels:
    state = given["state"]
    if state not in {"open", "done", "empty"}:
        raise ValueError(f"state {state!r}")
    points = tuple((float(x), float(y)) for x, y in given["points"])
    size = given.get("size")
    return Labels(cast("State", state), points, (int(size[0]), int(size[1])) if size else None)


def _no_constant(name: str) -> float:
    raise ValueError(f"expected finite numbers, got {name}")
