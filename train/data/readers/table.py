"""Points or boxes in a CSV file."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgecount.train.data.readers.classes import counted_class
from edgecount.train.data.readers.columns import DEFAULT, Columns, hint_of, is_heading, read_heading
from edgecount.train.data.readers.files import naming, only_file
from edgecount.train.data.readers.reading import Reading, is_there
from edgecount.train.data.readers.samples import from_boxes, from_points, problem_of
from edgecount.train.data.readers.text import read_text
from edgecount.train.data.sample import AnnotatedSize, Sample
from edgecount.train.targets.boxes import boxes_around

_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", " ": "spaces"}
_FORM = "image,x,y or image,x,y,w,h"


@dataclass
class Heads:
    """The rows of a table.

    Attributes:
        rows: x, y or x, y, w, h of each head, by image.
        sizes: width and height of the images, where the table has them.
        counted: heads by class, where the table has classes.
        left_out: heads of other classes, by class.
    """

    rows: dict[str, list[list[float]]] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Row:
    image: str
    numbers: list[float]
    size: tuple[int, int] | None
    label: str
    problem: str  # of numbers that cannot be those of an image; rows that do not count may have it


def read_csv(root: Path, reading: Reading) -> list[Sample]:
    """Read rows ``image,x,y`` or ``image,x,y,w,h``: a head's centre, width and height in px.

    ``root`` is the file, or a folder with one. Images are paths relative to the file. A first row
    without numbers has the columns' names, in any order, see :mod:`.columns`. Commas, semicolons,
    tabs or spaces separate. A row with an image alone is an image without people; images that no
    row names are skipped.
    """
    path = only_file(root, ".csv", ".tsv")
    with naming(path):
        heads = read_heads(path)
        files = _files(path.parent, heads, reading)
        samples = [
            _sample(image, [row for name in names for row in heads.rows[name]], size)
            for image, names in files.items()
            for size in [_size(path, image, names, heads)]
        ]
    hint = hint_of(read_columns(path), [head for rows in heads.rows.values() for head in rows])
    reading.note(hint, sum(map(len, heads.rows.values())) if hint else 0)
    reading.counted.update(heads.counted)
    for label, number in heads.left_out.items():
        reading.leave_out(f"heads of class {label}", number)
    folders = [path.parent, *(image.parent for image in files)]
    reading.unnamed(folders, files, "skip")
    return sorted(samples, key=lambda sample: sample.path)


def _files(folder: Path, heads: Heads, reading: Reading) -> dict[Path, list[str]]:
    """Return the names by which the rows call each image file."""
    files: dict[Path, list[str]] = {}
    for name in heads.rows:
        path = folder / name
        if "\\" in name and not is_there(path):  # written on Windows
            path = folder / name.replace("\\", "/")
        path = Path(os.path.normpath(path))
        files.setdefault(reading.picture(path), []).append(name)
    return files


def _size(path: Path, image: Path, names: Sequence[str], heads: Heads) -> AnnotatedSize | None:
    found = {heads.sizes[name] for name in names if name in heads.sizes}
    if len(found) > 1:
        said = " and ".join(f"{width}x{height}" for width, height in sorted(found))
        raise ValueError(f"expected one size of {image.name}, got {said}")
    return AnnotatedSize(*found.pop(), path.name) if found else None


def read_heads(path: Path) -> Heads:
    """Read the rows of :func:`read_csv`.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is wrong; the message says which.
    """
    rows = list(_rows(read_text(path)))
    heads = Heads()
    labels = {row.label for row in rows if row.numbers and row.label}
    wanted = counted_class(labels)
    for row in rows:
        found = heads.rows.setdefault(row.image, [])
        if row.size:
            heads.sizes.setdefault(row.image, row.size)
            if heads.sizes[row.image] != row.size:
                raise ValueError(f"expected one size of {row.image}, got {row.size} too")
        if not row.numbers:
            continue
        if wanted is None or row.label == wanted:
            if row.problem:
                raise ValueError(row.problem)
            found.append(row.numbers)
        tally = heads.counted if wanted in (None, row.label) else heads.left_out
        if labels:
            tally[row.label or "none"] += 1
    return heads


def read_columns(path: Path) -> Columns:
    """Read what the columns of a table of heads mean.

    Raises:
        OSError: the file cannot be read.
        ValueError: its first line is wrong.
    """
    separator, text = _separator(read_text(path))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    for words in reader:
        row = [word.strip() for word in words]
        if any(row):
            return read_heading(row) if is_heading(row) else DEFAULT
    return DEFAULT


def read_records(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a table whose first row names its columns; others than these may be there too.

    Raises:
        OSError: the file cannot be read.
        ValueError: a column is missing.
    """
    separator, text = _separator(read_text(path))
    records = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, restval=""
    )
    given = [name.strip() for name in records.fieldnames or ()]
    if not set(columns) <= set(given):
        raise ValueError(f"expected the columns {', '.join(columns)}, got {', '.join(given)}")
    records.fieldnames = given
    return [
        {name: value.strip() for name, value in record.items() if isinstance(value, str)}
        for record in records
    ]


def _rows(text: str) -> Iterator[_Row]:
    separator, text = _separator(text)
    columns, first = DEFAULT, True
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    for words in reader:
        row = [word.strip() for word in words]
        if not any(row):
            continue
        if first and is_heading(row):
            columns = read_heading(row)
        else:
            yield _row(row, columns, f"line {reader.line_num}", separator)
        first = False


def _separator(text: str) -> tuple[str, str]:
    """Return what separates the columns, and the text without a line that says so."""
    said = re.match(r"sep=(.)\r?\n", text)
    if said and said[1] in _SEPARATORS:  # for Excel
        return said[1], text[said.end() :]
    for line in text.splitlines():
        for separator in _SEPARATORS:
            words = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
            if _fits([word.strip() for word in words], separator):
                return separator, text
    return ",", text


def _fits(row: list[str], separator: str) -> bool:
    """Return whether a line, cut at the separators, reads as headings or as a row."""
    if len(row) < 3:
        return False
    if is_heading(row):
        return separator != " " or _knows(row)  # a name may have spaces
    return all(_number(word, separator) is not None for word in row[1:] if word)


def _knows(words: Sequence[str]) -> bool:
    try:
        read_heading(words)
    except ValueError:
        return False
    return True


def _row(words: list[str], columns: Columns, where: str, separator: str) -> _Row:
    cells = words + [""] * (columns.number - len(words))
    image = cells[columns.image]
    values = [cells[place] for place in columns.places]
    given = [value for value in values if value]
    numbers = [number for value in given if (number := _number(value, separator)) is not None]
    whole = len(values) == len(given) or not given
    # Of a table with widths and heights the rows of an image may have none.
    halved = columns.kind == DEFAULT.kind and all(values[:2]) and not any(values[2:])
    extra = any(words[columns.number :]) or (not given and _has_numbers(image, separator))
    if not image or len(numbers) != len(given) or extra or not (whole or halved):
        form = _FORM if columns is DEFAULT else f"image and {', '.join(columns.kind)}"
        raise ValueError(
            f"{where}: expected {form}, separated by {_SEPARATORS[separator]}, got {words}"
        )
    return _Row(
        image,
        _centred(numbers, columns.kind, where),
        _image_size(cells, columns, where),
        cells[columns.label].lower() if columns.label is not None else "",
        f"{where}: {problem}, got {given}" if (problem := problem_of(numbers)) else "",
    )


def _has_numbers(image: str, separator: str) -> bool:
    """Return whether an image's name is a whole row of another separator."""
    others = (one for one in _SEPARATORS if one not in (separator, " "))
    rows = (image.split(other) for other in others)
    return any(len(row) > 2 and all(_number(word, ";") for word in row[1:]) for row in rows)


def _number(word: str, separator: str) -> float | None:
    """Return the number that a word is, None if it is none; its decimal point may be a comma.

    Raises:
        ValueError: the comma may separate thousands as well.
    """
    if re.fullmatch(r"[+-]?\d+,\d+", word):
        if separator == "," and re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", word):
            raise ValueError(f"is {word} a fraction or thousands? write a point, or no comma")
        word = word.replace(",", ".")
    if "_" in word:  # which Python allows between digits
        return None
    try:
        return float(word)
    except ValueError:
        return None


def _centred(numbers: list[float], kind: tuple[str, ...], where: str) -> list[float]:
    """Return x, y or x, y, w, h of a head, from whatever its numbers are."""
    if not numbers or kind[0] == "x":
        return numbers
    left, top, third, fourth = numbers
    if kind[2] == "x2":
        if third < left or fourth < top:
            raise ValueError(f"{where}: expected left <= right and top <= bottom, got {numbers}")
        third, fourth = third - left, fourth - top
    return [left + third / 2, top + fourth / 2, third, fourth]


def _image_size(cells: list[str], columns: Columns, where: str) -> tuple[int, int] | None:
    said = [cells[place] for place in columns.size or ()]
    if not any(said):
        return None
    try:
        width, height = (int(float(word)) for word in said)
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: expected the image's width and height, got {said}") from None
    return width, height


def _sample(image: Path, rows: list[list[float]], size: AnnotatedSize | None) -> Sample:
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"some rows of {image.name} have a width and a height and some have not")
    numbers = np.array(rows, np.float64)
    if not rows or numbers.shape[1] == 2:
        return from_points(image, numbers.reshape(-1, 2), size=size)
    centres = numbers[:, :2]
    return from_boxes(image, boxes_around(centres, numbers[:, 2:]), points=centres, size=size)
