"""Headers of image files, read before they are decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """The header of an image file.

    Attributes:
        format: name of the file format, such as "JPEG".
        width: width of the stored picture in px, before it is turned; 0 if it is not known.
        height: height of the stored picture in px, likewise.
        orientation: how the stored picture is turned, as EXIF numbers it: 1 (upright) to 8.
        tile: pixels of the largest part that is decoded at once, where parts may be larger than
            the picture.
        white: value of white in a channel; None: the largest of the pixels' type.
        inverted: whether 0 stands for white.
        missing: what is missing of a file that was cut off; None: nothing.
        unsupported: why pictures of this kind are not decoded; None: they are.
        damaged: what is wrong with the file as far as its structure shows; None: nothing.
    """

    format: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    tile: int = 0
    white: int | None = None
    inverted: bool = False
    unsupported: str | None = None
    missing: str | None = None
    damaged: str | None = None

    @property
    def pixels(self) -> int:
        """Pixels that a decoder has to hold."""
        return max(self.width * self.height, self.tile)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the picture in px when it stands upright."""
        # 5 to 8 are turned by a quarter.
        if self.orientation < 5:
            return self.width, self.height
        return self.height, self.width
