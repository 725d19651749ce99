"""GIF and APNG, which are animations by their names, but may hold a single picture."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from edgecount.runtime.frames.stills.chunks import PNG
from edgecount.runtime.frames.stills.formats import HEAD, is_image, open_with_pillow

ANIMATIONS = (".gif", ".apng")


def is_still(path: str) -> bool:
    """Return whether a file that is called an animation is an image of one picture.

    Files of other names are not looked into. One that cannot be read is taken for what its name
    says.
    """
    if not path.lower().endswith(ANIMATIONS):
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            if head.startswith(b"GIF"):
                with open_with_pillow("GIF", file) as image:
                    return not image.is_animated
            if head.startswith(PNG):
                return _png_pictures(file) <= 1
            return is_image(head)
    except Exception:  # noqa: BLE001  # Pillow raises whatever its parsers met
        return False


def _png_pictures(file: BinaryIO) -> int:
    """Return how many pictures a PNG says that it has, which stands before the first of them."""
    file.seek(len(PNG))
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"acTL":
            (number,) = struct.unpack(">I", file.read(4))
            return int(number)
        if kind in (b"IDAT", b"IEND"):
            return 1
        file.seek(length + 4, 1)
