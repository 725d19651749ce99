"""The CSV with the annotated pictures: read by the reader that `adapt` and `eval` use."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Mapping
from pathlib import Path

from edgecount._files import replacing
from edgecount.errors import ConfigError, SourceError
from edgecount.label.labels import Labels

DEFAULT_NAME = "labels.csv"
_COLUMNS = ("image", "x", "y", "image_width", "image_height")
_SUFFIXES = (".csv", ".tsv")


def choose_file(folder: Path, given: Path | None) -> Path:
    """Return the CSV to go on with: the one that was given, the folder's only one, or a new one.

    Raises:
        ConfigError: the folder has several, or the name does not end as a CSV's does.
    """
    if given is not None:
        if given.suffix.lower() not in _SUFFIXES:
            raise ConfigError(f"out: expected a .csv file, got {given}")
        return given
    found = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    if len(found) > 1:
        listed = ", ".join(path.name for path in found[:4])
        raise ConfigError(f"out: {folder} has several tables ({listed}): name the one to write")
    return found[0] if found else folder / DEFAULT_NAME


def read_table(path: Path) -> dict[str, Labels]:
    """Return the annotated pictures of a CSV by their paths, relative to its folder.

    Raises:
        SourceError: the file cannot be read.
        ConfigError: it has more than points, which writing it anew would lose.
    """
    from edgecount.train.data.readers.table import read_columns, read_heads

    try:
        columns, heads = read_columns(path), read_heads(path)
    except (OSError, ValueError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(f"{path} cannot be read: {why}") from error
    known = 3 + (2 if columns.size else 0)
    has_boxes = any(len(row) > 2 for rows in heads.rows.values() for row in rows)
    if has_boxes or (columns.kind and len(columns.kind) == 2 and columns.number > known):
        raise ConfigError(
            f"{path} has more than the columns {', '.join(_COLUMNS)}, such as boxes or classes, "
            "which writing points would lose: choose another file (--out)"
        )
    found: dict[str, Labels] = {}
    for written, rows in heads.rows.items():
        name = _spelling(path.parent, written)
        before = found[name].points if name in found else ()
        points = before + tuple((row[0], row[1]) for row in rows)
        size = heads.sizes.get(written)
        found[name] = Labels("done" if points else "empty", points, size)
    return found


def write_table(path: Path, pictures: Mapping[str, Labels]) -> None:
    """Write the annotated pictures; an older file stays whole until the new one is complete.

    Raises:
        OutputError: the file cannot be written.
    """
    text = render(pictures)
    with replacing(path) as temporary:
        temporary.write_bytes(text)


def render(pictures: Mapping[str, Labels]) -> bytes:
    """Return the CSV of annotated pictures; one without people is a row without coordinates."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name in sorted(pictures):
        labels = pictures[name]
        size = labels.size or ("", "")
        rows = [(f"{x:.10g}", f"{y:.10g}") for x, y in labels.points] or [("", "")]
        writer.writerows((name, *row, *size) for row in rows)
    return text.getvalue().encode()


def unfit_name(name: str) -> str | None:
    """Say why a CSV cannot name a picture; None: it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if name != name.strip() or not name.isprintable() or "\\" in name:
        return "its name has spaces at its ends, backslashes or control characters: rename it"
    return None


def _spelling(folder: Path, written: str) -> str:
    """Return the path that a row means, in one spelling for all rows."""
    if "\\" in written and not (folder / written).exists():  # written on Windows
        written = written.replace("\\", "/")
    return posixpath.normpath(written)
