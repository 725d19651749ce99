"""Finding sources: images, folders, globs, videos, streams and cameras."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from edgecount.errors import SourceError
from edgecount.runtime.frames.images import MAX_PIXELS
from edgecount.runtime.sources.base import Source
from edgecount.runtime.sources.image import IMAGE_SUFFIXES, KNOWN, VIDEO_SUFFIXES, ImageSource

__all__ = ["IMAGE_SUFFIXES", "VIDEO_SUFFIXES", "SourceLike", "open_sources"]

SourceLike: TypeAlias = "str | os.PathLike[str] | int | Sequence[str | os.PathLike[str] | int]"

_URL = re.compile(r"(rtsps?|https?)://", re.IGNORECASE)
_EXPECTED = "expected a path, a URL or a camera's number"


def open_sources(
    spec: SourceLike, *, accept_damaged: bool = False, max_pixels: int = MAX_PIXELS
) -> list[Source]:
    """Find the sources that a path, pattern, URL or camera number stands for.

    Args:
        spec: an image or video file; a folder (the images and videos in it, hidden files and
            subfolders left out) or a glob (`**` enters subfolders), both in natural order (2
            before 10); an rtsp:// or http:// URL; a camera's number or device such as
            /dev/video0; or a sequence of these.
        accept_damaged: whether damaged images are given as well, as far as they can be decoded,
            with a warning in the log in place of an error.
        max_pixels: most pixels of an image; larger ones are refused before they are decoded.

    Returns:
        One source per file, stream or camera. A file that cannot be read fails when its frames
        are asked for, so that the others can go on.

    Raises:
        SourceError: nothing is there: no such file, an empty folder, a glob without a match; or it
            is no source, such as a negative number.
    """
    from edgecount.runtime.sources.video import CameraSource, StreamSource

    given: object = spec
    options = {"accept_damaged": accept_damaged, "max_pixels": max_pixels}
    if not isinstance(given, bool) and isinstance(given, Integral):
        return [CameraSource(int(given))]
    if isinstance(spec, str) and _URL.match(spec):
        return [StreamSource(spec)]
    if isinstance(spec, (str, os.PathLike)):
        return _open_path(os.fspath(spec), options)
    if isinstance(spec, Sequence) and not isinstance(spec, (bytes, bytearray, memoryview)):
        return [
            source
            for item in spec
            for source in open_sources(item, accept_damaged=accept_damaged, max_pixels=max_pixels)
        ]
    # An array would fill the screen.
    got = repr(given) if given is None or isinstance(given, Real) else f"a {type(given).__name__}"
    hint = ": images are for count()" if hasattr(given, "shape") else ""
    raise SourceError(f"{_EXPECTED}, got {got}{hint}")


def _open_path(text: str, options: dict[str, Any]) -> list[Source]:
    from edgecount.runtime.sources.video import CameraSource

    if not text:
        raise SourceError(f"{_EXPECTED}, got an empty text")
    path = Path(text)
    if path.is_dir():
        return _open_folder(path, options)
    if path.is_char_device():
        return [CameraSource(text)]
    if not path.exists() and glob.has_magic(text):
        return _open_glob(text, options)
    if not os.path.lexists(text):
        raise SourceError(f"no such file: {text}")
    if path.exists() and not path.is_file():
        raise SourceError(f"{text} is neither a file, a folder nor a camera")
    return [_open_file(text, options)]


def _open_folder(folder: Path, options: dict[str, Any]) -> list[Source]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.path for entry in entries if not entry.name.startswith(".")]
    except PermissionError:
        raise SourceError(f"no permission to read the folder {folder}") from None
    except OSError as error:
        raise SourceError(f"cannot read the folder {folder}: {error.strerror}") from None
    return _open_known(names, f"the folder {folder}", options)


def _open_glob(pattern: str, options: dict[str, Any]) -> list[Source]:
    # Path.glob takes no absolute pattern.
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207
    if not names:
        raise SourceError(f"no file matches {pattern}")
    return _open_known(names, f"what matches {pattern}", options)


def _open_known(names: Sequence[str], where: str, options: dict[str, Any]) -> list[Source]:
    known = IMAGE_SUFFIXES + VIDEO_SUFFIXES
    found = sorted((name for name in names if name.lower().endswith(known)), key=_natural)
    if not found:
        raise SourceError(f"{where} holds nothing to count: edgecount reads {KNOWN}")
    return [_open_file(name, options) for name in found]


def _open_file(name: str, options: dict[str, Any]) -> Source:
    from edgecount.runtime.sources.video import VideoSource

    return (
        VideoSource(name) if name.lower().endswith(VIDEO_SUFFIXES) else ImageSource(name, **options)
    )


def _natural(name: str) -> list[str | int]:
    """Return a sort key that puts frame2 before frame10: texts and numbers in turn."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]
