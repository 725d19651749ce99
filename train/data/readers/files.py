"""Finding the images and annotations of a set."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import SourceError
from edgecount.runtime.sources.open import IMAGE_SUFFIXES
from edgecount.train.data.readers.text import read_text


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in errors about its contents."""
    try:
        yield
    except SourceError:
        raise
    except KeyError as error:
        raise ValueError(f"{path.name} lacks the field {error}") from error
    except IndexError as error:
        raise ValueError(f"{path.name} is not laid out as such files are: {error}") from error
    except OverflowError as error:
        raise ValueError(f"{path.name}: a number is too large: {error}") from error
    except (ValueError, TypeError, AttributeError, LookupError, csv.Error, ET.ParseError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def folder_in(root: Path, name: str) -> Path:
    """Return the folder of a name in any case; ``root / name`` where there is none."""
    path = root / name
    if path.is_dir() or not root.is_dir():
        return path
    alike = [one for one in root.iterdir() if one.name.lower() == name.lower() and one.is_dir()]
    return alike[0] if len(alike) == 1 else path


def part_with(root: Path, inside: str, *parts: str) -> Path:
    """Return ``root`` where it has ``inside``, else the first of its ``parts`` that has it."""
    folders = (root, *(root / part for part in parts))
    return next((folder for folder in folders if any(folder.glob(inside))), root)


def listed_names(path: Path) -> list[str]:
    """Read the first words of a list's lines, each once, without the extensions of images."""
    words = dict.fromkeys(line.split()[0] for line in read_text(path).splitlines() if line.strip())
    return [word[: -len(Path(word).suffix)] if is_image(word) else word for word in words]


def is_image(name: str) -> bool:
    """Return whether a name ends as those of images do, in any case."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def only_file(root: Path, *suffixes: str, folders: tuple[str, ...] = ("",)) -> Path:
    """Return ``root`` itself if it is a file, else the only one of some suffixes in it.

    Args:
        root: a file, or a folder.
        suffixes: lower-case suffixes; files may have them in any case.
        folders: the folders in ``root`` that are searched.

    Raises:
        SourceError: there is none, or several.
    """
    if root.is_file():
        return root
    found = sorted(
        path
        for folder in folders
        for path in (root / folder).glob("*")
        if path.suffix.lower() in suffixes and path.is_file()
    )
    if len(found) == 1:
        return found[0]
    got = ", ".join(path.name for path in found[:4]) if found else "none"
    raise SourceError(f"expected one *{suffixes[0]} in {root}, got {got}: name the file itself")


def read_numbers(path: Path, columns: int) -> NDArray[np.float64]:
    """Read (N, columns) numbers of a text file, split by spaces or commas; ignore further columns.

    Raises:
        ValueError: a line has too few of them, or something else.
    """
    rows = []
    with naming(path):
        lines = read_text(path).splitlines()
    for number, line in enumerate(lines, 1):
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
        if not all(map(isfinite, row)):
            raise ValueError(f"{path.name}, line {number}: expected finite numbers, got {row}")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, columns)
