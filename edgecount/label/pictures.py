"""The pictures of a folder, and the JPEGs that the page shows of them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from edgecount._jpeg import encode_jpeg
from edgecount.errors import SourceError
from edgecount.label.table import unfit_name
from edgecount.runtime.frames.images import MAX_PIXELS, read_image
from edgecount.runtime.sources.suffixes import is_image_name, natural_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_T = TypeVar("_T")

THUMBNAIL, VIEW = 240, 2560  # px of the longer side
TILE = 1024  # px of the sides of a tile, which has the picture's own pixels
_QUALITIES = {THUMBNAIL: 70, VIEW: 90}
_TILE_QUALITY = 92
_IMAGE_BYTES, _JPEG_BYTES = 400_000_000, 80_000_000  # that are kept in memory
_PART = 1 << 20  # bytes that are read at once
_AGAIN = 1.0  # s between two looks at the folder

File = tuple[str, int, int]


class Pictures:
    """The pictures of a folder, looked at again as others come.

    Several threads may call its methods.

    Args:
        folder: the folder; pictures in folders below it are not taken.
        accept_damaged: whether damaged files are shown as far as they can be decoded.
        max_pixels: most pixels of a picture.

    Raises:
        SourceError: the folder cannot be read.
    """

    def __init__(
        self, folder: Path, *, accept_damaged: bool = False, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.folder = folder
        self._reading = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
        self._names: list[str] = []
        self._known: frozenset[str] = frozenset()
        self._looked = 0.0
        self._decoding = threading.Lock()  # one at a time: a large picture takes 750 MB
        self._images: _Cache[NDArray[np.uint8]] = _Cache(_IMAGE_BYTES, lambda image: image.nbytes)
        self._jpegs: _Cache[bytes] = _Cache(_JPEG_BYTES, len)
        self._sizes: dict[str, tuple[File, tuple[int, int]]] = {}
        self._fingerprints: dict[str, tuple[File, str]] = {}
        self._problems: dict[str, tuple[File, str]] = {}
        self._look()

    def names(self) -> list[str]:
        """Return the names of the pictures that are there now, frame2 before frame10.

        Raises:
            SourceError: the folder cannot be read any more.
        """
        if time.monotonic() > self._looked + _AGAIN:
            self._look()
        return self._names

    def __contains__(self, name: str) -> bool:
        """Return whether a picture of this name is, or was lately, in the folder."""
        return name in self._known

    def size(self, name: str) -> tuple[int, int]:
        """Return width and height of a picture in px, upright.

        Raises:
            SourceError: it cannot be read.
        """
        found = self._sizes.get(name)
        if found is None or found[0] != self.file(name):
            self.image(name)
        return self._sizes[name][1]

    def fingerprint(self, name: str) -> str:
        """Return a text that is another one for other bytes of the file.

        Raises:
            SourceError: it cannot be read.
        """
        file = self.file(name)
        found = self._fingerprints.get(name)
        if found is None or found[0] != file:
            digest = hashlib.sha256()
            try:
                with (self.folder / name).open("rb") as stream:
                    while part := stream.read(_PART):
                        digest.update(part)
            except OSError as error:
                raise SourceError(f"{name} cannot be read: {error.strerror}") from None
            found = self._fingerprints[name] = (file, digest.hexdigest()[:20])
        return found[1]

    def problem(self, name: str) -> str | None:
        """Say why a picture cannot be annotated; None: it can, or nobody has read it yet."""
        unfit = unfit_name(name)
        if unfit:
            return unfit
        found = self._problems.get(name)
        try:
            return found[1] if found and found[0] == self.file(name) else None
        except SourceError as error:
            return str(error)

    def image(self, name: str) -> NDArray[np.uint8]:
        """Return a picture, uint8 (H, W, 3) BGR, upright; not to be changed.

        Raises:
            SourceError: it cannot be read.
        """
        file = self.file(name)
        with self._decoding:
            found = self._images.get(file)
            if found is None:
                found = self._read(name, file)
                self._images.put(file, found)
        return found

    def view(self, name: str, side: int) -> bytes:
        """Return a picture as a JPEG, its longer side shrunk to THUMBNAIL or VIEW px.

        Raises:
            SourceError: it cannot be read.
        """
        image_side = max(self.size(name))
        return self._jpeg(name, f"{side}", lambda: _shrunk(self.image(name), image_side, side))

    def tile(self, name: str, column: int, row: int) -> bytes:
        """Return a tile of a picture as a JPEG, with the picture's own pixels.

        Raises:
            SourceError: the picture cannot be read, or has no such tile.
        """
        image = self.image(name)
        height, width = image.shape[:2]
        left, top = column * TILE, row * TILE
        if not (0 <= left < width and 0 <= top < height):
            raise SourceError(f"{name} has no tile {column}, {row}")
        cut = image[top : top + TILE, left : left + TILE]
        return self._jpeg(name, f"{column},{row}", lambda: encode_jpeg(cut, quality=_TILE_QUALITY))

    def _look(self) -> None:
        try:
            with os.scandir(self.folder) as entries:
                found = [
                    entry.name
                    for entry in entries
                    if is_image_name(entry.name)
                    and not entry.name.startswith(".")
                    and entry.is_file()
                ]
        except OSError as error:
            raise SourceError(f"cannot read the folder {self.folder}: {error.strerror}") from None
        self._names = sorted(found, key=natural_order)
        self._known = self._known | frozenset(found)
        self._looked = time.monotonic()

    def file(self, name: str) -> File:
        """Return what is another thing for another file of the same name."""
        try:
            found = (self.folder / name).stat()
        except OSError as error:
            raise SourceError(f"{name} is gone: {error.strerror}") from None
        return name, found.st_mtime_ns, found.st_size

    def _read(self, name: str, file: File) -> NDArray[np.uint8]:
        try:
            image = read_image(self.folder / name, **self._reading)  # type: ignore[arg-type]
        except SourceError as error:
            text = str(error).replace(f"{self.folder / name}", name)
            text = text.replace("set `accept_damaged`", "start with --accept-damaged")
            self._problems[name] = (file, text)
            raise SourceError(text) from error
        self._problems.pop(name, None)
        self._sizes[name] = (file, (image.shape[1], image.shape[0]))
        return image

    def _jpeg(self, name: str, what: str, make: Callable[[], bytes]) -> bytes:
        key = (*self.file(name), what)
        found = self._jpegs.get(key)
        if found is None:
            found = make()
            self._jpegs.put(key, found)
        return found


class _Cache(Generic[_T]):
    """The values that were asked for last, up to a number of bytes; the newest stays in any case.

    Args:
        most: bytes.
        weigh: returns the bytes of a value.
    """

    def __init__(self, most: int, weigh: Callable[[_T], int]) -> None:
        self._most, self._weigh = most, weigh
        self._values: OrderedDict[tuple[object, ...], _T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> _T | None:
        """Return a value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: tuple[object, ...], value: _T) -> None:
        """Add a value, and forget what was asked for longest ago."""
        with self._lock:
            self._values[key] = value
            total = sum(map(self._weigh, self._values.values()))
            while total > self._most and len(self._values) > 1:
                total -= self._weigh(self._values.popitem(last=False)[1])


def _shrunk(image: NDArray[np.uint8], longest: int, side: int) -> bytes:
    width = max(round(image.shape[1] * side / longest), 1) if longest > side else None
    return encode_jpeg(image, width, _QUALITIES[side])
