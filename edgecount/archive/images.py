"""The images of an archive: those of a folder, or those that a list names."""

from __future__ import annotations

import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgecount.archive.download import download, is_address
from edgecount.archive.folder import Folder
from edgecount.errors import SourceError
from edgecount.runtime.frames.images import read_file
from edgecount.runtime.frames.stills.animation import is_still
from edgecount.runtime.frames.stills.formats import HEAD, is_image
from edgecount.runtime.sources.suffixes import VIDEO_SUFFIXES
from edgecount.runtime.sources.urls import shown_url

if TYPE_CHECKING:
    from numpy.typing import NDArray

STDIN = "-"
LIST_SUFFIXES = (".txt", ".lst", ".list")
_CHUNK = 1 << 20  # bytes of a list that are read at once
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Images(ABC):
    """Images by their names, which are the same on every machine.

    Attributes:
        origin: what they are, for people and to tell two archives apart.
        left_out: what there is beside them, for people, once all names are told; empty: nothing.
    """

    origin: str
    left_out = ""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of the images, which may take long; to be called once.

        Raises:
            SourceError: they cannot be listed.
        """

    @abstractmethod
    def path(self, name: str) -> str:
        """Return the path or address of an image."""

    def read(self, name: str) -> bytes | NDArray[Any]:
        """Return the content of an image's file; several threads may read at once.

        A subclass may have images that are decoded already: it returns them as
        `edgecount.runtime.frames.images.as_bgr` takes them.

        Raises:
            SourceError: it cannot be read.
        """
        path = self.path(name)
        if is_address(path):
            return download(path)
        if path.lower().endswith(VIDEO_SUFFIXES) and not is_still(path):
            raise SourceError(
                f"{path} is a video, and archives are of images: count it by itself, with "
                "edgecount count FILE --csv TABLE"
            )
        if name.endswith("/"):
            raise SourceError(f"cannot read the folder {path}: its images are left out")
        if not is_image(read_file(Path(path), most=HEAD)):
            raise SourceError(f"{path} is not an image that can be decoded")
        return read_file(Path(path))

    @abstractmethod
    def check(self) -> None:
        """Check that the archive itself is still there, when an image of it could not be read.

        Raises:
            SourceError: it is not: a disk or a network that went away is no fault of its images.
        """


class FolderImages(Images):
    """The images of a folder and of the folders in it; names are relative to it, with `/`."""

    def __init__(self, path: Path) -> None:
        self._root = path
        self.origin = f"the folder {_absolute(path)}"

    def names(self) -> Iterator[str]:
        """Yield the names, folder by folder and sorted; see `Folder`."""
        folder = Folder(self._root)
        yield from folder.names()
        self.left_out = folder.left_out

    def path(self, name: str) -> str:
        """Return the path of an image."""
        return str(self._root / name)

    def check(self) -> None:
        """Check that the folder is there, and not empty as a mount point is; see `Images.check`."""
        try:
            with os.scandir(self._root) as entries:
                if next(entries, None) is not None:
                    return
            reason = "it is empty"
        except OSError as error:
            reason = str(error.strerror)
        raise SourceError(f"the folder {self._root} went away ({reason}): is its disk mounted?")


class ListImages(Images):
    """The images that a list names: one path or address a line, or ended by zero bytes.

    Paths are relative to the list's folder; those of standard input and of other pipes to the
    working directory.

    Args:
        path: the list's file; None: standard input.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        is_pipe = path is None or path.is_fifo()
        self._base = _absolute(Path() if path is None or is_pipe else path.parent)
        self._shown = "standard input" if path is None else str(path)
        self.origin = f"a list of images by their paths from {self._base}"

    def names(self) -> Iterator[str]:
        """Yield the names as they are written; empty lines are skipped."""
        if self._path is None:
            yield from self._read(sys.stdin.buffer)
            return
        try:
            if not stat.S_ISREG(self._path.stat().st_mode) and not self._path.is_fifo():
                raise SourceError(f"{self._path} is no file: expected a list of images")
            with self._path.open("rb") as file:
                yield from self._read(file)
        except OSError as error:
            raise SourceError(f"cannot read the list {self._path}: {error.strerror}") from None

    def path(self, name: str) -> str:
        """Return the path or address of an image."""
        return name if is_address(name) else str(Path(self._base, name))

    def check(self) -> None:
        """Check that the folder is there that paths are relative to; see `Images.check`."""
        if not Path(self._base).is_dir():
            raise SourceError(f"the folder {self._base} went away: is its disk mounted?")

    def _read(self, file: IO[bytes]) -> Iterator[str]:
        for number, entry in enumerate(_entries(file), 1):
            if number == 1 and entry.startswith(_UTF16):
                raise SourceError(f"the list {self._shown} is UTF-16: save it as UTF-8")
            name = entry.removeprefix(_BOM) if number == 1 else entry
            if name.strip():
                yield os.fsdecode(name)


def _entries(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the entries of a list, split at zero bytes if there are any, else at line ends."""
    rest = file.read(_CHUNK)
    by_lines = b"\0" not in rest or rest.startswith(_UTF16)
    end = b"\n" if by_lines else b"\0"
    while True:
        *whole, rest = rest.split(end)
        yield from (entry.removesuffix(b"\r") if by_lines else entry for entry in whole)
        more = file.read(_CHUNK)
        if not more:
            break
        rest += more
    if rest:
        yield rest.removesuffix(b"\r") if by_lines else rest


def open_images(text: str) -> Images:
    """Return the images that a text means.

    Args:
        text: a folder; a list, which ends in .txt, .lst or .list or stands behind an @; or - for a
            list on standard input.

    Raises:
        SourceError: it is nothing of that, or is not there.
    """
    if text == STDIN:
        return ListImages(None)
    path = Path(text)
    if path.is_dir():
        return FolderImages(path)
    if text.startswith("@") and not path.exists():
        return ListImages(_existing(text[1:]))
    if text.lower().endswith(LIST_SUFFIXES):
        return ListImages(_existing(text))
    if not is_address(text):
        _existing(text)
    raise SourceError(
        f"expected a folder of images, or a list of them ({', '.join(LIST_SUFFIXES)}, or @FILE, or "
        f"- for standard input), got {shown_url(text)}"
    )


def _absolute(path: Path) -> str:
    """Return a path without `..`, but with its links: they may be what machines have in common."""
    return os.path.abspath(path)  # noqa: PTH100


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.exists():
        raise SourceError(f"no such file or folder: {text}")
    return path
