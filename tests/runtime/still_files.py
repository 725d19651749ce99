"""Image files for tests of stills."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
