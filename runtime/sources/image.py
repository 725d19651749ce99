"""An image file as a source of one frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import MAX_PIXELS, read_image
from edgecount.runtime.sources.base import Frame, Source
from edgecount.runtime.sources.suffixes import IMAGE_SUFFIXES, KNOWN


class ImageSource(Source):
    """An image file, which is decoded by its content, whatever its name.

    Args:
        path: the file.
        accept_damaged: see `read_image`, as for max_pixels.
        max_pixels: most pixels of the picture.
    """

    is_video = False
    length = 1
    fps = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        accept_damaged: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.name = os.fspath(path)
        self._accept_damaged = accept_damaged
        self._max_pixels = max_pixels

    def frames(self) -> Iterator[Frame]:
        """Yield the one frame; see `Source.frames`."""
        yield self.read()

    def read(self, on_size: Callable[[int, int], None] | None = None) -> Frame:
        """Return the one frame; see `read_image` for `on_size`, and `Source.frames` for errors."""
        try:
            image = read_image(
                self.name,
                accept_damaged=self._accept_damaged,
                max_pixels=self._max_pixels,
                on_size=on_size,
            )
        except SourceError as error:
            if Path(self.name).suffix.lower() in IMAGE_SUFFIXES or not Path(self.name).is_file():
                raise
            raise SourceError(f"{error}; edgecount reads {KNOWN}") from None
        return Frame(image, self.name, 0, 0.0)
