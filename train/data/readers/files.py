"""Finding the images and annotations of a set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.sources.open import IMAGE_SUFFIXES


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in errors about its contents."""
    try:
        yield
    except SourceError:
        raise
    except KeyError as error:
        raise ValueError(f"{path.name} lacks the field {error}") from error
    except (ValueError, IndexError, TypeError, AttributeError, ET.ParseError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def annotation_of(image: Path, *candidates: Path) -> Path:
    """Return the first of the files that exists.

    Raises:
        SourceError: none is; it names the image and the first of the files.
    """
    for path in candidates:
        if path.is_file():
            return path
    raise SourceError(f"{image} has no annotation: expected {candidates[0]}")


def image_of(annotation: Path, folders: Iterable[Path], stem: str | None = None) -> Path:
    """Find the image that belongs to an annotation, by its name without the extension.

    Raises:
        SourceError: no folder has it; it names the annotation and the first place searched.
    """
    stem = annotation.stem if stem is None else stem
    searched = list(folders)
    for folder in searched:
        for suffix in IMAGE_SUFFIXES:
            for spelling in (suffix, suffix.upper()):
                path = folder / f"{stem}{spelling}"
                if path.is_file():
                    return path
    raise SourceError(f"{annotation} has no image: expected {searched[0] / stem}.jpg")


def images_in(folder: Path, pattern: str = "*") -> list[Path]:
    """List the image files of a folder, sorted by name."""
    found = (path for path in folder.glob(pattern) if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(found)


def part_with(root: Path, inside: str, *parts: str) -> Path:
    """Return ``root`` where it has ``inside``, else the first of its ``parts`` that has it."""
    folders = (root, *(root / part for part in parts))
    return next((folder for folder in folders if any(folder.glob(inside))), root)


def listed_names(path: Path) -> list[str]:
    """Read the first words of a list's lines, without the extensions of images."""
    words = (line.split()[0] for line in path.read_text().splitlines() if line.strip())
    return [re.sub(r"\.(jpe?g|png)$", "", word, flags=re.IGNORECASE) for word in words]


def only_file(root: Path, *patterns: str) -> Path:
    """Return ``root`` itself if it is a file, else its only file of the patterns.

    Raises:
        SourceError: there is none, or several.
    """
    if root.is_file():
        return root
    found = sorted({path for pattern in patterns for path in root.glob(pattern)})
    if len(found) == 1:
        return found[0]
    got = ", ".join(path.name for path in found[:4]) if found else "none"
    raise SourceError(f"expected one {patterns[0]} in {root}, got {got}: name the file itself")


def read_numbers(path: Path, columns: int) -> NDArray[np.float64]:
    """Read (N, columns) numbers of a text file, split by spaces or commas; ignore further columns.

    Raises:
        ValueError: a line has too few of them, or something else.
    """
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words[:columns]]
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
        if len(row) < columns:
            raise ValueError(
                f"{path.name}, line {number}: expected {columns} numbers, got {len(row)}"
            )
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, columns)
