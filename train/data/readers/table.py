"""Points or boxes in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgecount.train.data.readers.files import naming, only_file
from edgecount.train.data.readers.samples import from_boxes, from_points
from edgecount.train.data.sample import Sample
from edgecount.train.targets.boxes import boxes_around

_COLUMNS = ("image", "x", "y", "w", "h")
_Row = tuple[str, list[float]]


def read_csv(root: Path) -> list[Sample]:
    """Read rows ``image,x,y`` or ``image,x,y,w,h``: a head's centre, width and height in px.

    ``root`` is the file, or a folder with one. Images are paths relative to the file. A first row
    of these names, in any order, is a header. A row with an image alone is an image without
    people; images that no row names are not read.
    """
    path = only_file(root, "*.csv")
    with naming(path):
        heads = read_heads(path)
        samples = [_sample(path.parent / image, rows) for image, rows in heads.items()]
    return sorted(samples, key=lambda sample: sample.path)


def read_heads(path: Path) -> dict[str, list[list[float]]]:
    """Read the rows of :func:`read_csv` by image: x, y or x, y, w, h of each head.

    Raises:
        OSError: the file cannot be read.
        ValueError: a line is wrong; the message says which.
    """
    heads: dict[str, list[list[float]]] = {}
    # utf-8-sig: spreadsheets put a byte order mark first.
    with path.open(newline="", encoding="utf-8-sig") as file:
        for image, numbers in _rows(file):
            found = heads.setdefault(image, [])
            if numbers:
                found.append(numbers)
    return heads


def _rows(lines: Iterable[str]) -> Iterable[_Row]:
    columns: dict[str, int] = dict(zip(_COLUMNS, range(5), strict=True))
    for number, row in enumerate(csv.reader(lines), 1):
        words = [word.strip() for word in row]
        if not any(words):
            continue
        if number == 1 and {"image", "x", "y"} <= {word.lower() for word in words}:
            columns = {word.lower(): place for place, word in enumerate(words)}
            continue
        yield _row(words, columns, number)


def _row(words: list[str], columns: dict[str, int], number: int) -> _Row:
    found = [
        words[columns[name]] if columns.get(name, len(words)) < len(words) else ""
        for name in _COLUMNS
    ]
    image, values = found[0], [word for word in found[1:] if word]
    try:
        numbers = [float(word) for word in values]
    except ValueError:
        numbers = [0.0]  # as wrong as a number too many
    if not image or len(numbers) not in (0, 2, 4):
        raise ValueError(f"line {number}: expected image,x,y or image,x,y,w,h, got {words}")
    return image, numbers


def _sample(image: Path, rows: list[list[float]]) -> Sample:
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"some rows of {image.name} have a width and a height and some have not")
    numbers = np.array(rows, np.float64)
    if not rows or numbers.shape[1] == 2:
        return from_points(image, numbers.reshape(-1, 2))
    centres = numbers[:, :2]
    return from_boxes(image, boxes_around(centres, numbers[:, 2:]), points=centres)
