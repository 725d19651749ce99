"""One reading of a set: its files found whatever their spelling, and what it leaves out."""

from __future__ import annotations

import fnmatch
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgecount.errors import SourceError
from edgecount.runtime.sources.open import IMAGE_SUFFIXES

Choice = Literal["empty", "skip", "error"]
CHOICES: tuple[Choice, ...] = ("empty", "skip", "error")


@dataclass
class Unannotated:
    """A picture without an annotation.

    Attributes:
        expected: the annotation that is missing; None: no row of the set's only one names it.
        usual: what the reader does with such a picture unless it is told otherwise.
        name: the name that its sample would have; empty: that of the file.
    """

    expected: Path | None
    usual: Choice
    name: str = ""


@dataclass
class Reading:
    """Findings of one reading of a set, beside its samples.

    Attributes:
        counted: annotations that are counted, by the name of their class, where they have one.
        left_out: annotations that are not, by the reason.
        notes: other things to know of the annotations, with numbers.
        unannotated: pictures without an annotation.
        no_picture: annotations without a picture.
    """

    counted: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    unannotated: dict[Path, Unannotated] = field(default_factory=dict)
    no_picture: list[Path] = field(default_factory=list)
    _folders: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)
    _taken: set[Path] = field(default_factory=set)

    def leave_out(self, reason: str, number: int) -> None:
        """Count annotations that are left out."""
        if number:
            self.left_out[reason] += int(number)

    def note(self, what: str, number: int) -> None:
        """Count what is to be known of annotations that are read."""
        if number:
            self.notes[what] += int(number)

    def find_exactly(self, path: Path) -> Path | None:
        """Return the path if there is a file of it, None if there is nothing.

        Raises:
            SourceError: it is there, but no file: a FIFO, a device, a link to nothing; or no file
                can have such a name.
        """
        try:
            if path.is_file():
                return path
            odd = path.is_symlink() or (path.exists() and not path.is_dir())
        except (OSError, ValueError) as error:
            raise SourceError(f"there is no file {str(path)[:100]!r}: {error.args[-1]}") from None
        if odd:
            raise SourceError(f"{path} is not a regular file")
        return None

    def find(self, path: Path) -> Path | None:
        """Return the file of this path, whatever the case of its name; None: there is none.

        A set made on a system that ignores case, or that writes accents in two code points, is
        read here too; of several files that differ in nothing else the one spelt so is meant.

        Raises:
            SourceError: see :meth:`find_exactly`.
        """
        found = self.find_exactly(path)
        if found:
            return found
        alike = self._list(path.parent).get(_key(path.name), [])
        return alike[0] if len(alike) == 1 else None

    def picture(self, path: Path) -> Path:
        """Return the file of a picture's path; without one, the path: reading it says why."""
        try:
            return self.find(path) or path
        except SourceError:
            return path

    def image_like(self, stem: Path) -> Path | None:
        """Return the image whose path but for the extension is ``stem``; None: there is none."""
        for suffix in IMAGE_SUFFIXES:
            found = self.find(stem.with_name(stem.name + suffix))
            if found:
                return found
        return None

    def image_of(self, annotation: Path, folders: Iterable[Path], stem: str | None = None) -> Path:
        """Find the image that belongs to an annotation, by its name without the extension.

        Raises:
            SourceError: no folder has it; it names the annotation and the first place searched.
        """
        stem = annotation.stem if stem is None else stem
        searched = list(folders)
        for folder in searched:
            found = self.image_like(folder / stem)
            if found:
                return found
        raise SourceError(f"{annotation} has no image: expected {searched[0] / stem}.jpg")

    def annotation_of(self, image: Path, *candidates: Path) -> Path | None:
        """Return the first of the files that exists; without one the image is unannotated."""
        for path in candidates:
            found = self.find(path)
            if found:
                self.of_one_picture(found)
                return found
        self.unannotated[image] = Unannotated(candidates[0], "error")
        return None

    def of_one_picture(self, annotation: Path) -> None:
        """Note an annotation that another picture has, too, such as a.jpg and a.png."""
        self.note("pictures that share their annotation with another", annotation in self._taken)
        self._taken.add(annotation)

    def images_in(self, folder: Path, pattern: str = "*", *, deep: bool = False) -> list[Path]:
        """List the image files of a folder, and with ``deep`` of those in it, sorted by name."""
        return self.files_in(folder, IMAGE_SUFFIXES, pattern, deep=deep)

    def files_in(
        self, folder: Path, suffixes: tuple[str, ...], pattern: str = "*", *, deep: bool = False
    ) -> list[Path]:
        """List the files of a folder with these suffixes in any case, sorted by name."""
        found = folder.rglob("*") if deep else folder.glob("*")
        return sorted(
            path
            for path in found
            if path.suffix.lower() in suffixes
            and fnmatch.fnmatchcase(path.name.lower(), pattern.lower())
            and self._is_file(path)
        )

    def unnamed(self, folders: Iterable[Path], named: Iterable[Path], usual: Choice) -> None:
        """Record the images in the folders that no annotation names."""
        known = {os.path.realpath(path) for path in named if "\0" not in str(path)}
        for folder in dict.fromkeys(folders):
            for image in self.images_in(folder):
                if os.path.realpath(image) not in known:
                    self.unannotated.setdefault(image, Unannotated(None, usual))

    def without_picture(self, annotations: Iterable[Path], read: Iterable[Path]) -> None:
        """Record the files of annotations that belong to no image that was read."""
        self.no_picture += sorted(set(annotations) - set(read))

    def _is_file(self, path: Path) -> bool:
        if path.is_file():
            return True
        if not path.is_dir():  # a FIFO, a device, a link to nothing
            self.leave_out("names that are no regular files", 1)
        return False

    def _list(self, folder: Path) -> dict[str, list[Path]]:
        """Return the files of a folder by their name without case; the disk is read once."""
        if folder not in self._folders:
            listed: dict[str, list[Path]] = {}
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.is_file():
                    listed.setdefault(_key(path.name), []).append(path)
            self._folders[folder] = listed
        return self._folders[folder]


def is_there(path: Path) -> bool:
    """Return whether there is anything but a folder, whatever the name."""
    try:
        return (path.exists() or path.is_symlink()) and not path.is_dir()
    except (OSError, ValueError):
        return False


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
