"""Folders of images with tables beside them, and folders of images without people."""

from __future__ import annotations

import dataclasses
import posixpath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.train.data.readers.files import naming
from edgecount.train.data.readers.reading import Reading
from edgecount.train.data.readers.samples import from_boxes, from_points, problem_of
from edgecount.train.data.readers.table import read_records
from edgecount.train.data.sample import AnnotatedSize, Sample

_CENTRED = 1.0  # px that a head's centre may be off its box's, by rounding
_Rows = dict[str, list[list[float]]]


def read_csv_folder(root: Path, reading: Reading) -> list[Sample]:
    """Read ``images/``, ``images.csv`` and ``points.csv``, and ``boxes.csv`` where it is there.

    ``images.csv`` names every image in its column ``image``, those without people too;
    ``points.csv`` has a row ``image,x,y`` for every head, in px; ``boxes.csv`` has
    ``image,x1,y1,x2,y2``. Boxes give the heads' sizes where they are boxes of heads: as many as
    points, in the same order, with the points at their centres. Boxes of whole bodies are left.
    """
    tables = {name: root / f"{name}.csv" for name in ("images", "points", "boxes")}
    rows = {_spelling(row["image"]): row for row in _rows(tables["images"], ("image",))}
    points = _numbers(tables["points"], ("x", "y"))
    boxes = _numbers(tables["boxes"], ("x1", "y1", "x2", "y2")) if tables["boxes"].exists() else {}
    for table, numbers in (("points", points), ("boxes", boxes)):
        unknown = sorted(set(numbers) - set(rows))
        if unknown:
            raise ValueError(f"{table}.csv names {unknown[0]!r}, which images.csv does not")
    samples = []
    for name, row in rows.items():
        path = root / "images" / name
        with naming(tables["points"]):
            sample = _sample(path, points.get(name, []), boxes.get(name, []))
        with naming(tables["images"]):
            size = _size(row)
        if sample.boxes is None:
            reading.leave_out("boxes that are not those of the heads", len(boxes.get(name, [])))
        said = row.get("count", "")
        reading.note(
            "images of another count in images.csv",
            said.isdigit() and int(said) != len(sample.points),
        )
        found = reading.picture(path)
        samples.append(dataclasses.replace(sample, path=found, annotated_size=size))
    reading.unnamed([root / "images"], [sample.path for sample in samples], "skip")
    return sorted(samples, key=lambda sample: sample.path)


def _spelling(name: str) -> str:
    """Return a name as other rows may write it: without ./ and the backslashes of Windows."""
    return posixpath.normpath(name.replace("\\", "/"))


def _size(row: dict[str, str]) -> AnnotatedSize | None:
    said = [row.get(side, "") for side in ("width", "height")]
    if not all(said):
        return None
    width, height = (int(float(side)) for side in said)
    return AnnotatedSize(width, height, "images.csv") if width > 0 and height > 0 else None


def read_empty(root: Path, reading: Reading) -> list[Sample]:
    """Take every picture of a folder, and of its folder ``images``, as one without people.

    Made for pictures of one's own camera when nobody is there: what the network takes for heads
    in them, training on them takes away.
    """
    found = reading.images_in(root) + reading.images_in(root / "images")
    return [from_points(path, np.zeros((0, 2))) for path in found]


def _sample(path: Path, points: list[list[float]], boxes: list[list[float]]) -> Sample:
    centres = np.array(points, np.float64).reshape(-1, 2)
    sides = np.array(boxes, np.float64).reshape(-1, 4)
    if len(centres) and _are_heads(centres, sides):
        return from_boxes(path, sides, points=centres)
    return from_points(path, centres)


def _are_heads(centres: NDArray[np.float64], sides: NDArray[np.float64]) -> bool:
    if len(sides) != len(centres):
        return False
    middles = (sides[:, :2] + sides[:, 2:]) / 2
    return bool((np.abs(middles - centres) <= _CENTRED).all())


def _numbers(path: Path, columns: tuple[str, ...]) -> _Rows:
    """Return the rows' numbers by image."""
    found: _Rows = {}
    for number, row in enumerate(_rows(path, ("image", *columns)), 2):
        try:
            numbers = [float(row[column]) for column in columns]
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path.name}, line {number}: expected numbers {', '.join(columns)}, got "
                f"{[row[column] for column in columns]}"
            ) from error
        if problem := problem_of(numbers):
            raise ValueError(f"{path.name}, line {number}: {problem}, got {numbers}")
        found.setdefault(_spelling(row["image"]), []).append(numbers)
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.is_file():
        raise SourceError(f"expected {path.name} with the columns {', '.join(columns)} in {path}")
    with naming(path):
        return read_records(path, columns)
