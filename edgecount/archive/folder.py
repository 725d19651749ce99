"""Folders of images, with the folders in them."""

from __future__ import annotations

import itertools
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from edgecount.errors import SourceError
from edgecount.runtime.frames.stills.animation import is_still
from edgecount.runtime.sources.suffixes import (
    IMAGE_SUFFIXES,
    OVERLAY_SUFFIXES,
    counted_kinds,
    kind_of,
)

_log = logging.getLogger(__name__)


class Folder:
    """A folder and the folders in it, hidden ones left out, as hidden files are.

    Links to folders are followed after all the folders that are no links, and each place is entered
    once: links that lead up end nowhere, and one that is added changes the names of no image.

    Attributes:
        left_out: number and kinds of the files that are no images, once all names are told; empty
            if there are none.
    """

    left_out = ""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: set[tuple[int, int]] = set()  # device and number of the folders
        self._others: Counter[str] = Counter()  # of files by their suffix

    def names(self) -> Iterator[str]:
        """Yield the names of the images relative to the folder, with `/`, folder by folder.

        A folder in it that cannot be read is yielded as its name with a `/` at the end.

        Raises:
            SourceError: the folder cannot be read, or holds no image.
        """
        links: list[str] = []
        found = False
        # The list of links grows by those in what they lead to.
        for name in itertools.chain.from_iterable(
            self._walk(top, links) for top in itertools.chain([""], links)
        ):
            found = True
            yield name
        if self._others:
            self.left_out = counted_kinds(self._others)
        if not found:
            more = f", but {self.left_out}" if self.left_out else ""
            raise SourceError(f"the folder {self._root} and those in it hold no image{more}")

    def _walk(self, top: str, links: list[str]) -> Iterator[str]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                files, inside = self._list(folder, links)
            except OSError as error:
                if not folder:
                    raise _unreadable(self._root, error) from None
                _log.warning("%s", _unreadable(self._root / folder, error))
                yield f"{folder}/"
                continue
            yield from files
            waiting += reversed(inside)

    def _list(self, folder: str, links: list[str]) -> tuple[list[str], list[str]]:
        """Return the images and the folders of a folder, sorted; links are appended."""
        files: list[str] = []
        inside: list[str] = []
        found: list[str] = []
        path = self._root / folder
        status = path.stat()
        place = status.st_dev, status.st_ino
        if place in self._seen:
            return [], []
        self._seen.add(place)
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is_folder(entry):
                    (found if entry.is_symlink() else inside).append(name)
                elif _is_image(entry):
                    files.append(name)
                else:
                    self._others[kind_of(entry.name)] += 1
        links += sorted(found)
        return sorted(files), sorted(inside)


def _is_image(entry: os.DirEntry[str]) -> bool:
    if entry.name.endswith(OVERLAY_SUFFIXES):
        return False
    return entry.name.lower().endswith(IMAGE_SUFFIXES) or is_still(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads to itself
        return False


def _unreadable(path: Path, error: OSError) -> SourceError:
    if isinstance(error, PermissionError):
        return SourceError(f"no permission to read the folder {path}")
    return SourceError(f"cannot read the folder {path}: {error.strerror}")
